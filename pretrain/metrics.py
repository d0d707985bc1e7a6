"""JSON lines of a training run, in which each step stands once however often the run was killed and resumed."""

import json
import logging
import os
from pathlib import Path
from typing import Any, Self

from shards.atomic import disk_error, write_bytes

log = logging.getLogger(__name__)

Record = dict[str, Any]


class MetricsFile:
    """Records with a `step`, appended to `path`; those after `last_step` are of a lost stretch of the run and go."""

    def __init__(self, path: Path, last_step: int) -> None:
        self.path = path
        kept = [record for record in read_records(path) if record["step"] <= last_step]
        self.num_kept = len(kept)
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


def read_records(path: Path) -> list[Record]:
    """The records of the file; no file is no records. A kill may have torn the last line; what else is none is told."""
    records: list[Record] = []
    lines = path.read_bytes().splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except ValueError:  # not JSON, or not UTF-8
            record = None
        if isinstance(record, dict) and isinstance(record.get("step"), int):
            records.append(record)
        elif number < len(lines):
            log.warning("event=line_ignored file=%s line=%d: not a record with a step", path, number)
    return records


def _line(record: Record) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"
