"""Arrays in one file that any number of processes map: the rows of a plan, made once.

gristmill plan 1
<xxh3 of all that follows, 16 digits>
{"key": …, "arrays": {"first": ["int64", 1001], …}, …}        one line of JSON, padded with spaces
arrays, each from a multiple of 64 bytes on
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from shards.atomic import atomic_file
from shards.errors import RunError
from shards.limits import check_limits

_MAGIC = b"gristmill plan 1\n"
_START = len(_MAGIC) + 17  # the checksum has 16 digits and a line end
_ALIGNMENT = 64
_CHUNK_BYTES = 1 << 20


def write_arrays(path: Path, info: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write the file at once: it is there whole or as it was before."""
    table = {name: [array.dtype.name, len(array)] for name, array in arrays.items()}
    header = json.dumps({**info, "arrays": table}).encode()
    header += b" " * (-(_START + len(header) + 1) % _ALIGNMENT) + b"\n"
    pieces = [header, *(piece for array in arrays.values() for piece in _padded(array))]
    digest = xxhash.xxh3_64()
    for piece in pieces:
        digest.update(piece)
    with atomic_file(path) as file:
        file.write(_head(digest.hexdigest()))
        for piece in pieces:
            file.write(piece)


def read_arrays(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(info, arrays); the arrays are private copies of mapped pages. RunError where the file is missing or damaged."""
    try:
        if not _is_whole(path):
            raise RunError(f"{path}: is not as it was written")
        data = np.memmap(path, np.uint8, "c")
    except OSError as error:
        check_limits(path, error)
        raise RunError(f"{path}: cannot be read: {error.strerror}") from None
    end = _START + int(np.argmax(data[_START:] == ord("\n"))) + 1
    info = json.loads(bytes(data[_START:end]))
    arrays = {}
    for name, (kind, length) in info.pop("arrays").items():
        size = np.dtype(kind).itemsize * length
        arrays[name] = np.asarray(data[end : end + size]).view(kind)
        end += size + -size % _ALIGNMENT
    return info, arrays


def _is_whole(path: Path) -> bool:
    digest = xxhash.xxh3_64()
    with path.open("rb") as file:  # read, and not mapped: a fault for each page takes longer than the checksum
        head = file.read(_START)
        while data := file.read(_CHUNK_BYTES):
            digest.update(data)
    return head == _head(digest.hexdigest())


def _head(digest: str) -> bytes:
    return _MAGIC + digest.encode() + b"\n"


def _padded(array: np.ndarray) -> list[memoryview | bytes]:
    data = np.ascontiguousarray(array).data.cast("B") if len(array) else memoryview(b"")
    return [data, bytes(-len(data) % _ALIGNMENT)]
