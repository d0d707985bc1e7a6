"""Lines of files by their first bytes, whatever their names are."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from shards.row_lines import UNREADABLE, NotLines, cause_of, open_lines
from shards.storage import InputFile

TEXT = "".join(f'{{"text": "line {i} слово 文字"}}\n' for i in range(3_000))
SKIPPABLE = b"\x5f\x2a\x4d\x18\x04\0\0\0abcd"


def pack(name: str) -> Callable[[bytes], bytes]:
    return lambda data: pa.compress(data, name, asbytes=True)


def zstd_then_skippable(data: bytes) -> bytes:
    return SKIPPABLE + pack("zstd")(data[:1000]) + SKIPPABLE + pack("zstd")(data[1000:])


def gzip_members(data: bytes) -> bytes:
    return gzip.compress(data[:1000]) + gzip.compress(data[1000:])


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress, "gzip members": gzip_members, "xz": lzma.compress, "bzip2": bz2.compress,
    "zstd": pack("zstd"), "zstd frames": zstd_then_skippable, "lz4": pack("lz4"),
}  # fmt: skip


def lines_of(path: Path, data: bytes) -> tuple[bytes, bool]:
    path.write_bytes(data)
    with open_lines(InputFile(str(path), path.name, len(data))) as lines:
        return b"".join(lines), lines.is_stored


@pytest.mark.parametrize("name", PACKED)
def test_a_compressed_file_is_inflated_whatever_its_name_is(tmp_path: Path, name: str) -> None:
    assert lines_of(tmp_path / "a.jsonl", PACKED[name](TEXT.encode())) == (TEXT.encode(), False)


@pytest.mark.parametrize("name", PACKED)
def test_a_cut_file_raises_and_gives_whole_lines_before(tmp_path: Path, name: str) -> None:
    data = PACKED[name](TEXT.encode())[:-30]
    (tmp_path / "a").write_bytes(data)
    read = []
    with (
        pytest.raises(UNREADABLE) as caught,
        open_lines(InputFile(str(tmp_path / "a"), "a", len(data))) as lines,
    ):
        read.extend(lines)
    assert all(line.endswith(b"}\n") for line in read)
    told = cause_of(caught.value, "jsonl", is_stored=False)
    assert told.startswith("not a whole jsonl file: ")
    assert told.endswith("; texts that were read from it may be altered, fetch it again")
    assert told.count("fetch it again") == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_utf16_and_utf32_become_utf8(tmp_path: Path, encoding: str) -> None:
    assert lines_of(tmp_path / "a.jsonl", TEXT.encode(encoding)) == (TEXT.encode(), False)
    assert lines_of(tmp_path / "a.jsonl", gzip.compress(TEXT.encode(encoding))) == (TEXT.encode(), False)


@pytest.mark.parametrize("data", [b"", b"a", TEXT.encode(), b"\xef\xbb\xbfa\n", b"\r\n\r\n", b"\xff\xfe"])
def test_other_files_are_read_as_they_are_stored(tmp_path: Path, data: bytes) -> None:
    lines, is_stored = lines_of(tmp_path / "a.jsonl.gz", data)
    assert (lines, is_stored) == ((b"", False) if data == b"\xff\xfe" else (data, True))


@pytest.mark.parametrize("opening", [b"PAR1", b"ARROW1\0\0"])
def test_files_of_other_kinds_are_told_by_their_first_bytes(tmp_path: Path, opening: bytes) -> None:
    with pytest.raises(NotLines) as caught:
        lines_of(tmp_path / "a", opening + b"more")
    assert "file, where lines were expected; set the source's kind" in cause_of(caught.value, "jsonl")


def test_what_comes_after_a_compressed_stream_is_damage(tmp_path: Path) -> None:
    for data in (gzip.compress(b"a\n"), pack("zstd")(b"a\n")):
        with pytest.raises(UNREADABLE):
            lines_of(tmp_path / "a", data + b"junk")


REFUSED = {
    "a zip archive": b"PK\3\4" + bytes(100),
    "an lzma file": lzma.compress(TEXT.encode(), lzma.FORMAT_ALONE),
    "a 7z archive": b"7z\xbc\xaf\x27\x1c" + bytes(100),
} | {f"a zlib stream{' ' * level}": zlib.compress(TEXT.encode(), level) for level in range(1, 10)}


@pytest.mark.parametrize("name", REFUSED)
def test_a_compressed_file_that_is_not_read_is_named_with_what_to_do(tmp_path: Path, name: str) -> None:
    for data in (REFUSED[name], gzip.compress(REFUSED[name])):
        with pytest.raises(NotLines, match=rf"^{name.strip()}\b.*; (unpack|inflate) it, for example with ") as caught:
            lines_of(tmp_path / "a.jsonl", data)
        assert cause_of(caught.value, "jsonl", is_stored=False) == str(caught.value)


@pytest.mark.parametrize("name", PACKED)
def test_a_file_that_is_compressed_twice_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotLines, match=r"^a file that is compressed twice; inflate it once"):
        lines_of(tmp_path / "a.jsonl.gz", gzip.compress(PACKED[name](TEXT.encode())))


@pytest.mark.parametrize("text", ["x^2 + y^2 = z^2 holds for all right angles", "x\u06a9" * 40, "x^", "PK", "]"])
def test_a_text_that_begins_like_a_compressed_file_is_read(tmp_path: Path, text: str) -> None:
    assert lines_of(tmp_path / "a.txt", text.encode()) == (text.encode(), True)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 4096])
def test_nul_bytes_at_the_beginning_are_no_encoding(tmp_path: Path, length: int) -> None:
    for data in (bytes(length), bytes(length) + b"\n" + TEXT.encode()):
        if length >= 4 or len(data) == length:
            assert lines_of(tmp_path / "a.jsonl", data) == (data, True)


def test_an_error_with_a_remedy_of_its_own_gets_no_other() -> None:
    told = cause_of(OSError("a zstd window that is too long; compress the file again"), "jsonl", is_stored=False)
    assert told == "not a whole jsonl file: a zstd window that is too long; compress the file again"
