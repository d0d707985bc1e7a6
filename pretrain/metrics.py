"""JSON lines of a training run, in which each step stands once however often the run was killed and resumed."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from shards.atomic import disk_error, write_bytes

Record = dict[str, Any]


class MetricsFile:
    """Records with a `step`, appended to `path`; those after `last_step` are of a lost stretch of the run and go."""

    def __init__(self, path: Path, last_step: int) -> None:
        self.path = path
        kept = [record for record in read_records(path) if record["step"] <= last_step]
        write_bytes(path, b"".join(map(_line, kept)))
        self._file = path.open("ab")

    def append(self, record: Record) -> None:
        try:
            self._file.write(_line(record))
            self._file.flush()
        except OSError as error:
            raise disk_error(self.path, error) from error

    def sync(self) -> None:
        """On return all records are on disk: called before a checkpoint says that their steps are done."""
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def read_records(path: Path) -> Iterator[Record]:
    """The whole lines of the file; a kill may have torn the last one. No file is no records."""
    if path.exists():
        for line in path.read_bytes().splitlines():
            with suppress(json.JSONDecodeError):
                yield json.loads(line)


def _line(record: Record) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"
