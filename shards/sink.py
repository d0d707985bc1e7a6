"""Arrow IPC files: written atomically in record batches of equal size, read by memory map.

Incoming batches are re-cut to `BATCH_ROWS` rows, so that rows from many small batches are read as fast as any others.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import pyarrow as pa

from shards import mirror
from shards.atomic import atomic_file, disk_error
from shards.block_hashes import BlockHasher
from shards.errors import RunError
from shards.limits import raise_unless_damage

BATCH_ROWS = 4096  # of a record batch in a file
_BUFFER = 1 << 18
BATCH_BYTES = 64 << 20  # a batch ends earlier at this many bytes, which bounds memory for very long documents


class ArrowSink:
    """Writes rows of one schema to `path`; the file appears when the `with` block ends without an error.

    `num_rows` and `num_bytes` are those written so far, and after the block `sha256` is that of the file. Compression
    is zstd level 1 (measured: 286 MB/s, 41 % of the raw size) or none. UserError or RunError where writing fails.
    """

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        *,
        compressed: bool = True,
        synced: bool = True,
        blocks: BlockHasher | None = None,
    ) -> None:
        """`synced` is that of `shards.atomic.atomic_file`; `blocks` gets all bytes that are written."""
        self.path, self.schema, self._synced, self._blocks = path, schema, synced, blocks
        self.num_rows = 0
        self.sha256 = ""
        codec = pa.Codec("zstd", 1) if compressed else None
        # Of 25 rows, half of the time of a write went into handing columns to threads; workers are as many as cores.
        self._options = pa.ipc.IpcWriteOptions(compression=codec, use_threads=False)
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = self._pending_bytes = 0

    def __enter__(self) -> Self:
        self._context = atomic_file(self.path, synced=self._synced)
        self._file = _Hashed(self._context.__enter__(), self._blocks)
        # Buffered: the writer hands over each buffer and each padding by itself.
        self._stream = pa.BufferedOutputStream(pa.PythonFile(self._file, mode="w"), _BUFFER)
        self._writer = pa.ipc.new_file(self._stream, self.schema, options=self._options)
        return self

    @property
    def num_bytes(self) -> int:
        """Bytes that are written so far."""
        return self._file.num_bytes

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the rows of a batch that has the schema's columns, in any order, and perhaps others."""
        while batch.num_rows:
            room = BATCH_ROWS - self._pending_rows
            head, batch = batch.slice(0, room), batch.slice(room)
            head = head.select(self.schema.names)
            self._pending.append(head if head.schema.equals(self.schema) else head.cast(self.schema))
            self._pending_rows += head.num_rows
            self._pending_bytes += head.nbytes
            if self._pending_rows == BATCH_ROWS or self._pending_bytes >= BATCH_BYTES:
                self.end_batch()

    @property
    def num_pending(self) -> tuple[int, int]:
        """(rows, bytes) of the record batch that is not full yet."""
        return self._pending_rows, self._pending_bytes

    def end_batch(self) -> None:
        """End the record batch, so that the rows before and after this point stand in batches of their own."""
        if self._pending_rows:
            # The empty slice makes Arrow copy a single pending batch too: a slice of a larger batch is written with
            # other padding, and the file's bytes must depend on its rows alone.
            table = pa.Table.from_batches([*self._pending, self._pending[0].slice(0, 0)]).combine_chunks()
            self._writer.write_table(table)
            self.num_rows += self._pending_rows
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            if error is None:
                self.end_batch()
                self._writer.close()
                self._stream.close()
        except OSError as failure:
            self._context.__exit__(type(failure), failure, failure.__traceback__)
            raise disk_error(self.path, failure) from failure
        self._context.__exit__(kind, error, tb)
        self.sha256 = self._file.digest.hexdigest()


class _Hashed:
    """A write-only file that keeps the sha256 of its bytes."""

    def __init__(self, file: IO[bytes], blocks: BlockHasher | None) -> None:
        self._file, self._blocks = file, blocks
        self.digest = hashlib.sha256()
        self.num_bytes = 0
        self.closed = False

    def write(self, data: pa.Buffer | bytes) -> int:
        view = memoryview(data)
        self.digest.update(view)
        if self._blocks is not None:
            self._blocks.update(view)
        self.num_bytes += view.nbytes
        return self._file.write(view)

    def flush(self) -> None:
        self._file.flush()

    def tell(self) -> int:
        return self.num_bytes

    def close(self) -> None:
        self.closed = True


def open_arrow(path: Path, columns: list[str] | None = None) -> pa.ipc.RecordBatchFileReader:
    """The file at `path`, memory-mapped; RunError where it is missing, damaged, or lacks one of `columns`.

    With `columns` only those are decompressed: ids without their texts are read nine times as fast. Batches are read
    later, and a damaged one raises Arrow's error; `read_table` and `read_batches` turn it into a RunError.
    """
    with _whole(path):
        reader = pa.ipc.open_file(mirror.opened(path, _mapped))
        if columns is None:
            return reader
        if missing := [name for name in columns if name not in reader.schema.names]:
            raise RunError(
                f"{path}: has no column {', '.join(missing)}; another version of gristmill made it, make it anew"
            )
        fields = [reader.schema.get_field_index(name) for name in columns]
        return pa.ipc.open_file(mirror.opened(path, _mapped), options=pa.ipc.IpcReadOptions(included_fields=fields))


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """The whole file, with the columns in the order of `columns`. RunError as of `open_arrow`."""
    reader = open_arrow(path, columns)
    with _whole(path):
        table = reader.read_all()
    return table.select(columns) if columns is not None else table


def read_batches(
    path: Path, columns: list[str] | None = None, numbers: Iterable[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """The batches with these numbers in their order, or all batches. RunError as of `open_arrow`."""
    reader = open_arrow(path, columns)
    for i in range(reader.num_record_batches) if numbers is None else numbers:
        with _whole(path):
            batch = reader.get_batch(i)
        yield batch.select(columns) if columns is not None else batch


def mapped_batches(path: Path) -> tuple[int, list[pa.RecordBatch]]:
    """(address of the file's first byte, all batches) of an uncompressed file; columns are views of its memory map.

    RunError as of `open_arrow`.
    """
    with _whole(path):
        file = mirror.opened(path, _mapped)
        base = file.read_buffer(1).address
        reader = pa.ipc.open_file(file)
        return base, [reader.get_batch(i) for i in range(reader.num_record_batches)]


def _mapped(path: Path) -> pa.MemoryMappedFile:
    return pa.memory_map(str(path))


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Turn the errors of reading `path` into a RunError."""
    try:
        yield
    except FileNotFoundError:
        raise RunError(f"{path}: missing; `gristmill verify` lists all files that are") from None
    except (OSError, pa.ArrowException) as error:
        raise_unless_damage(path, error)
        cause = " ".join(str(error).split())
        raise RunError(
            f"{path}: not a whole Arrow file ({cause}); delete its manifest (the .json of its name) and the run's "
            "report.json, if there is one, and run the same command again"
        ) from None
