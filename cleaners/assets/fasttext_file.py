"""Checks fastText model files before fastText opens them.

fastText trusts a file. One that is cut short gives scores of 1.0, a crash, or minutes of spinning.

    magic version │ settings │ counts, words and labels, pruned n-grams │ flag, input matrix │ flag, output matrix

The layout is that of `FastText::saveModel` and the functions that it calls (github.com/facebookresearch/fastText,
src/fasttext.cc, args.cc, dictionary.cc, densematrix.cc, quantmatrix.cc, productquantizer.cc), little-endian and without
padding. The matrices are not read, so the cost depends on the number of words alone: .2 s for a million.
"""

import mmap
import struct
from pathlib import Path
from typing import Any

from shards.errors import UserError
from shards.limits import check_limits

_MAGIC, _NEWEST_VERSION = struct.pack("<i", 793712314), 12  # fasttext.h
_SUPERVISED = 3  # args.h: model_name::sup
_CENTROIDS = 256  # productquantizer.h: ksub_


def load_fasttext(path: Path) -> Any:
    """The model at `path`. UserError for a file that is not a model, is cut short, or holds no classifier."""
    check_whole(path)
    import fasttext

    try:
        return fasttext.load_model(str(path))
    except ValueError as error:
        raise UserError(f"{path}: not a fastText model: {error}") from None


def check_whole(path: Path) -> None:
    """Raise a UserError if `path` is not a whole model of a classifier."""
    num_bytes, needed, exact = _lengths(path)
    if num_bytes < needed:
        least = "" if exact else "at least "
        raise UserError(f"{path}: cut short: {num_bytes:,} of {least}{needed:,} bytes; fetch or train it again")


def missing_bytes(path: Path) -> int:
    """The least number of bytes that the model lacks; 0 for a whole one."""
    num_bytes, needed, _ = _lengths(path)
    return max(0, needed - num_bytes)


def _lengths(path: Path) -> tuple[int, int, bool]:
    """(bytes of the file, bytes that it needs, whether that number is exact and not a minimum)."""
    try:
        with path.open("rb") as file:
            num_bytes = file.seek(0, 2)
            if not num_bytes:  # nothing to map
                return 0, struct.calcsize("<ii"), False
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return num_bytes, *_needed_bytes(data)
    except OSError as error:
        check_limits(path, error)
        raise UserError(f"{path}: the model cannot be read: {error.strerror}; is the path right?") from None
    except _NoModel as error:
        raise UserError(f"{path}: not a fastText model: {error}") from None


class _NoModel(Exception):
    """The file contradicts itself or the format."""


class _CutShort(Exception):
    """The file ends before a number that states the length of the rest."""


class _Cursor:
    """A position in the file. `skip` may pass the end of the file, `read` may not."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.offset = data, 0

    def read(self, layout: str) -> tuple[Any, ...]:
        start = self.offset
        self.offset += struct.calcsize("<" + layout)
        if self.offset > len(self.data):
            raise _CutShort
        return struct.unpack_from("<" + layout, self.data, start)

    def skip(self, num_bytes: int) -> None:
        self.offset += num_bytes

    def flag(self) -> bool:
        (value,) = self.read("B")
        _must(value <= 1, f"a flag at byte {self.offset - 1:,} is {value}")
        return bool(value)


def _needed_bytes(data: mmap.mmap) -> tuple[int, bool]:
    """(length that the model must have, True); (a length that it exceeds, False) if the file does not state it."""
    cursor = _Cursor(data)
    try:
        _must(_MAGIC.startswith(data[:4]), "it does not begin like one")
        _, version = cursor.read("ii")
        _must(0 < version <= _NEWEST_VERSION, f"version {version}, and {_NEWEST_VERSION} is the newest")
        dim, _, _, _, _, _, _, kind, bucket, *_ = cursor.read("12id")
        _must(dim > 0 and bucket >= 0, f"vectors of {dim} numbers, {bucket} buckets")
        _must(kind == _SUPERVISED, "it holds word vectors, no classifier")
        num_words, num_labels, num_pruned = _dictionary(cursor)
        num_rows = num_words + (bucket if num_pruned < 0 else num_pruned)
        if cursor.flag():
            _quantized(cursor, num_rows, dim)
            if cursor.flag():
                _quantized(cursor, num_labels, dim)
            else:
                _dense(cursor, num_labels, dim)
        else:
            _must(num_pruned < 0, "its words are pruned and its matrix is not compressed")
            _dense(cursor, num_rows, dim)
            cursor.skip(1)  # no output matrix is compressed where the input matrix is not
            _dense(cursor, num_labels, dim)
    except _CutShort:
        return cursor.offset, False
    return cursor.offset, True


def _dictionary(cursor: _Cursor) -> tuple[int, int, int]:
    """(words, labels, pruned n-grams or -1 for none). The cursor moves past all of them."""
    size, num_words, num_labels, _, num_pruned = cursor.read("iiiqq")
    _must(size == num_words + num_labels, f"{num_words} words and {num_labels} labels are not {size}")
    _must(num_words >= 0 and num_labels > 0, f"{num_words} words, {num_labels} labels")
    _must(-1 <= num_pruned <= 1 << 31, f"{num_pruned} pruned n-grams")
    find, offset = cursor.data.find, cursor.offset
    for left in range(size, 0, -1):
        end = find(b"\0", offset)
        if end < 0:
            cursor.offset = len(cursor.data) + 10 * left  # for each the end of the word, an int64 and a byte
            raise _CutShort
        offset = end + 10
    cursor.offset = offset
    cursor.skip(8 * max(0, num_pruned))
    return num_words, num_labels, num_pruned


def _dense(cursor: _Cursor, num_rows: int, dim: int) -> None:
    if cursor.offset + 16 <= len(cursor.data):
        rows, columns = cursor.read("qq")
        _must_fit(rows, columns, num_rows, dim)
        num_rows = rows
    else:
        cursor.skip(16)
    cursor.skip(4 * num_rows * dim)


def _quantized(cursor: _Cursor, num_rows: int, dim: int) -> None:
    has_norms = cursor.flag()
    rows, columns, num_codes = cursor.read("qqi")
    _must_fit(rows, columns, num_rows, dim)
    _must(num_codes >= 0, f"{num_codes} codes")
    cursor.skip(num_codes)
    num_parts = _product_quantizer(cursor, dim)
    _must(num_codes == rows * num_parts, f"{num_codes} codes for {rows} rows of {num_parts}")
    if has_norms:
        cursor.skip(rows)
        _product_quantizer(cursor, 1)


def _product_quantizer(cursor: _Cursor, dim: int) -> int:
    """The number of codes per row."""
    num_parts: int
    quantized_dim, num_parts, part, last = cursor.read("iiii")
    whole = quantized_dim == dim and num_parts > 0 and 0 < last <= part and (num_parts - 1) * part + last == dim
    _must(whole, f"a quantizer of {num_parts} parts of {part} and {last} for vectors of {dim}")
    cursor.skip(4 * _CENTROIDS * dim)
    return num_parts


def _must_fit(rows: int, columns: int, num_rows: int, dim: int) -> None:
    """Refuse fewer rows than words and buckets, since fastText would read beyond them. More rows do no harm."""
    _must(num_rows <= rows < 1 << 40 and columns == dim, f"a matrix {rows} × {columns} for {num_rows} × {dim}")


def _must(holds: bool, contradiction: str) -> None:
    if not holds:
        raise _NoModel(contradiction)
