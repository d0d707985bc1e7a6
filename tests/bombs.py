"""Reads bombs, small files that inflate to a gigabyte, in a process of its own, and prints how its memory has grown.

python -m bombs FOLDER
"""

import bz2
import gzip
import json
import lzma
import resource
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import brotli
import zstandard
from fastwarc.stream_io import Lz4Writer

from cleaners.crawl.bodies import undo_encodings
from cleaners.crawl.warc import WarcReader
from shards.errors import UserError
from shards.row_reader import RowReader
from shards.source import SourceConfig
from shards.storage import InputFile, find_inputs

CHUNK, TIMES = 32 << 20, 32  # 1 GB
ZEROS = b"0" * CHUNK


def member(head: bytes = b"") -> bytes:
    """One gzip stream of `head` and a gigabyte; its checksum, which comes last, is wrong."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    begin = deflate.compress(head) + deflate.flush(zlib.Z_FULL_FLUSH)
    block = deflate.compress(ZEROS) + deflate.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + begin + block * TIMES + deflate.flush() + bytes(8)


def zstd_frame() -> bytes:
    compress = zstandard.ZstdCompressor(level=1).compressobj()
    return b"".join(compress.compress(ZEROS) for _ in range(TIMES)) + compress.flush()


def brotli_body() -> bytes:
    compress = brotli.Compressor(quality=1)
    return b"".join(compress.process(ZEROS) for _ in range(TIMES)) + compress.finish()


def lz4_frames(path: Path) -> bytes:
    with path.open("wb") as out, Lz4Writer(out) as writer:
        writer.write(ZEROS)
    return path.read_bytes() * TIMES


def bombs(folder: Path) -> Iterator[str]:
    """Reads one bomb after the other; yields the name of each."""
    frame = zstd_frame()
    for encoding, body in {"gzip": member(), "zstd": frame, "br": brotli_body()}.items():
        found, state = undo_encodings(body, "", encoding)
        assert state == "cut"
        assert len(found) < 70 << 20
        yield f"body, {encoding}"
    head = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 1073741824\r\n\r\n"
    endless = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 10\r\nX: "
    warcs = {
        "record": ("a.warc.gz", member(head)),
        "head of a record": ("b.warc.gz", member(endless)),
        "bytes before a record": ("c.warc.gz", member()),
        "zstd file": ("d.warc.zst", frame),
    }
    for name, (file, data) in warcs.items():
        reader = WarcReader("web", written(folder / file, data), 0)
        assert sum(batch.num_rows for batch in reader) == 0
        assert reader.damage, name
        yield f"WARC, {name}"
    lines = {
        "gz": gzip.compress(ZEROS, 1) * TIMES,
        "zst": frame,
        "xz": lzma.compress(ZEROS, preset=0) * TIMES,
        "bz2": bz2.compress(ZEROS) * TIMES,
        "lz4": lz4_frames(folder / "frame"),
    }
    for kind in ("jsonl", "text"):
        config = SourceConfig.parse({"kind": kind}, "source.web")
        for packing, data in lines.items():
            rows = RowReader(config, "web", written(folder / f"{kind}.{packing}", data), 0)
            assert sum(batch.num_rows for batch in rows) == 0
            assert rows.damage
            yield f"{kind}, {packing}"
    written(folder / "warc.paths.gz", lines["gz"])
    try:
        find_inputs([str(folder / "warc.paths.gz")], (), "paths")
    except UserError:
        yield "list of paths"


def written(path: Path, data: bytes) -> InputFile:
    path.write_bytes(data)
    return InputFile(str(path), path.name, len(data))


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


if __name__ == "__main__":
    grown, before = {}, peak()
    for bomb in bombs(Path(sys.argv[1])):
        grown[bomb] = peak() - before
    sys.stdout.write(json.dumps(grown))
