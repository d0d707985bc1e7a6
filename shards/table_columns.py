"""The named columns of a file of tables, as Python values that do not depend on how the file stores them.

    text of type string, view, dictionary, binary or null ──▶ str or None; bytes where it is not UTF-8
    timestamp with any unit and zone                      ──▶ "2024-05-01T10:00:00Z"
    all others                                            ──▶ what `to_pylist` gives

Columns that nobody named are not read: a date in the year 25000 beside the text ends no run.
"""

import io
from contextlib import suppress
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from shards.schema import NO_COLUMNS
from shards.storage import InputFile, open_input


class NoSuchColumn(ValueError):
    """A column that the settings name is not there, is there twice, or holds no text."""


def stored_name(schema: pa.Schema, path: str) -> str | None:
    """The top-level column that holds `path`: the column of this name, else the struct before its first dot.

    None where there is neither; NoSuchColumn where two columns have the name.
    """
    for name in (path, path.partition(".")[0]):
        if schema.names.count(name) > 1:
            raise NoSuchColumn(f"several columns are named {name!r}; rename all but one")
        if name in schema.names:
            return name
    return None


def find_column(batch: pa.RecordBatch, path: str) -> pa.Array | None:
    """The column `path`, or the field of a struct that it names as `doc.text`; None where there is none."""
    name = stored_name(batch.schema, path)
    if name is None:
        return None
    column = plain(batch[name])
    for field in path[len(name) + 1 :].split(".") if path != name else ():
        if not pa.types.is_struct(column.type) or column.type.get_field_index(field) < 0:
            return None
        column = plain(pc.struct_field(column, field))
    return column


def table_schema(file: InputFile) -> pa.Schema:
    """The schema of an Arrow file or stream; without fields where it is neither."""
    for opened in (pa.ipc.open_file, pa.ipc.open_stream):
        with open_input(file) as stream, suppress(pa.ArrowException, OSError):
            return opened(arrow_input(stream, file)).schema
    return NO_COLUMNS


def arrow_input(stream: BinaryIO, file: InputFile) -> pa.PythonFile:
    """The stream for Arrow, which otherwise allocates whatever length a broken file declares."""
    return pa.PythonFile(_UpToEnd(stream, file.num_bytes), mode="r")


class _UpToEnd(io.RawIOBase):
    """A stream of `num_bytes` bytes of which no more is asked for than there is."""

    def __init__(self, stream: BinaryIO, num_bytes: int) -> None:
        self._stream, self._num_bytes = stream, num_bytes

    def read(self, size: int = -1, /) -> bytes:
        left = max(0, self._num_bytes - self._stream.tell())
        return self._stream.read(left if size < 0 else min(size, left))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type that `plain` gives a column of this type; views become plain strings or bytes."""
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.large_string()
    return pa.large_binary() if pa.types.is_binary_view(kind) else kind


def plain(column: pa.Array) -> pa.Array:
    """The values without the extension, dictionary or run lengths that store them."""
    if isinstance(column, pa.ExtensionArray):
        return plain(column.storage)
    if pa.types.is_dictionary(column.type):
        return plain(column.dictionary_decode())
    return pc.run_end_decode(column) if pa.types.is_run_end_encoded(column.type) else column


def is_text(kind: pa.DataType) -> bool:
    """Whether `texts` takes a column of this type: bytes too, since some writers declare no string."""
    checks = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view", "null")
    return any(getattr(pa.types, f"is_{check}")(kind) for check in checks)


def texts(column: pa.Array) -> list[str | bytes | None]:
    """The texts; bytes where one is not UTF-8. ArrowInvalid where the column's buffers are broken."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        with suppress(pa.ArrowInvalid):  # which does not say where
            column.validate(full=True)
            return list(column.to_pylist())
    raw = column.cast(pa.large_binary())
    raw.validate(full=True)
    return [_decoded(value) for value in raw.to_pylist()]


def values(column: pa.Array) -> list[Any]:
    """The values of a column that is no text: ids, addresses, dates, and what `where` compares."""
    if is_text(column.type):
        return [v.decode(errors="backslashreplace") if isinstance(v, bytes) else v for v in texts(column)]
    if pa.types.is_temporal(column.type):
        return _iso(column)
    try:
        return list(column.to_pylist())
    except (LookupError, OverflowError) as error:  # a zone that is not installed, a far date in a list
        raise ValueError(f"{column.type}: {error}") from None


def _decoded(value: bytes | None) -> str | bytes | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return value


def _iso(column: pa.Array) -> list[str | None]:
    """Dates and times as ISO 8601, without a fraction of zeros. Python's own reach from year 1 to 9999."""
    is_utc = pa.types.is_timestamp(column.type) and column.type.tz is not None
    if is_utc:
        column = column.view(pa.timestamp(column.type.unit))  # the zone need not be known: stored is UTC
    shown = pc.replace_substring_regex(column.cast(pa.string()), r"(\.\d*?)0+$", r"\1")
    shown = pc.replace_substring(pc.utf8_rtrim(shown, "."), " ", "T", max_replacements=1)
    if is_utc:
        shown = pc.binary_join_element_wise(shown, "Z", "")
    return list(shown.to_pylist())
