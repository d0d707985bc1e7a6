"""Zstandard files of every make are inflated whole, or refused with a cause."""

import io

import pytest
import zstandard

from shards.zstd import Pieces, inflate

PAGES = [f"WARC/1.0\r\nWARC-Type: response\r\n\r\nPage {i} of the mill.".encode() * 40 for i in range(40)]
WHOLE = b"".join(PAGES)
DICTIONARY = zstandard.train_dictionary(2048, [page[i : i + 200] for page in PAGES for i in range(0, 2000, 100)])
CUT = "ends in the middle of a"


def skippable(content: bytes, kind: int = 0) -> bytes:
    return (0x184D2A50 + kind).to_bytes(4, "little") + len(content).to_bytes(4, "little") + content


def frames(dictionary: zstandard.ZstdCompressionDict | None = None) -> bytes:
    compressor = zstandard.ZstdCompressor(dict_data=dictionary)
    return b"".join(compressor.compress(page) for page in PAGES)


def with_window(descriptor: int) -> bytes:
    """A frame whose window is that of the descriptor of RFC 8878, section 3.1.1.1.2, without size or checksum."""
    compressor = zstandard.ZstdCompressor(write_content_size=False, write_checksum=False)
    frame = compressor.compressobj()
    data = frame.compress(WHOLE) + frame.flush()
    assert data[4] & 0x20 == 0  # no single segment, so the next byte is the descriptor
    return data[:5] + bytes([descriptor]) + data[6:]


@pytest.mark.parametrize(
    "data",
    [
        frames(),
        zstandard.compress(WHOLE),
        skippable(b"pzstd") + frames(),
        skippable(b"") + skippable(b"x" * 70_000, 15) + frames() + skippable(b"the index", 14),
        frames() + skippable(b"between") + zstandard.compress(b""),
        skippable(DICTIONARY.as_bytes(), 13) + frames(DICTIONARY),
        skippable(zstandard.compress(DICTIONARY.as_bytes()), 13) + frames(DICTIONARY),
        skippable(DICTIONARY.as_bytes(), 13) + frames(),
        with_window((27 - 10) << 3),  # 128 MB, the usual limit
        with_window((28 - 10) << 3),
        with_window((31 - 10) << 3),  # zstd --long=31
    ],
)
def test_all_frames_are_inflated(data: bytes) -> None:
    assert b"".join(inflate(io.BytesIO(data))) == WHOLE
    assert Pieces(inflate(io.BytesIO(data))).read() == WHOLE


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (frames()[:-3], EOFError, CUT),
        (frames()[:12], EOFError, CUT),
        (skippable(b"cut")[:-1], EOFError, CUT),
        (skippable(DICTIONARY.as_bytes(), 13)[:-1], EOFError, "ends in the middle of its zstd dictionary"),
        (frames() + b"what is this", OSError, "do not inflate"),
        (frames(DICTIONARY), OSError, "dictionary that is not in the file (number"),
        (skippable(b"no dictionary", 13) + frames(DICTIONARY), OSError, "dictionary that is not in the file"),
        (b"\x5d\x2a\x4d\x18" + b"\xff" * 4, OSError, "dictionary of 4,294,967,295 bytes"),
        (with_window((32 - 10) << 3), OSError, "a zstd window of more than 2,147,483,648 bytes"),
        (b"{}", OSError, "do not inflate"),
    ],
)
def test_what_cannot_be_inflated_is_said(data: bytes, error: type[Exception], says: str) -> None:
    with pytest.raises(error) as raised:
        b"".join(inflate(io.BytesIO(data)))
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_bomb_comes_in_pieces() -> None:
    data = zstandard.compress(bytes(160 << 20))
    assert len(data) < 20_000
    sizes = [len(piece) for piece in inflate(io.BytesIO(data))]
    assert sum(sizes) == 160 << 20
    assert max(sizes) <= 128 << 20


def test_pieces_are_read_in_any_size() -> None:
    stream = Pieces(iter([b"abc", b"", b"defgh"]))
    assert [stream.read(2) for _ in range(6)] == [b"ab", b"c", b"de", b"fg", b"h", b""]
    assert [*io.BufferedReader(Pieces(iter([b"a\nb", b"c\n"])))] == [b"a\n", b"bc\n"]
