"""JSON lines of a training, in which each step stands once however often the training was killed and resumed."""

import json
import logging
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from shards.atomic import disk_error, write_bytes

log = logging.getLogger(__name__)

METRICS, EVALUATIONS = "metrics.jsonl", "held_out.jsonl"  # names in a training's `out`
STARTS, SAMPLES = "starts.jsonl", "samples.jsonl"
BATCH_CHECKSUM = "batch_xxh3"  # key of `Batch.checksum` in the record of a step, 16 hex digits

Record = dict[str, Any]


class MetricsFile:
    """Records with a `step`, appended to `path`.

    Opening deletes the records after `last_step`: they are of steps that no checkpoint holds. `num_kept` counts the
    others. `progress` is called with each record that is appended.
    """

    def __init__(self, path: Path, last_step: int, progress: Callable[[Record], None]) -> None:
        self.path = path
        self._progress = progress
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
        self._progress(record)

    def sync(self) -> None:
        """Put all records on disk. Called before a checkpoint says that their steps are done."""
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def read_records(path: Path) -> list[Record]:
    """The records of the file, none if it does not exist.

    Lines that are no record are left out with a warning, except the last one, which a kill may have torn.
    """
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
    return json.dumps(_finite(record), ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _finite(value: Any) -> Any:
    """The value with null for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
