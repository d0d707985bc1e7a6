"""Limits of open files and memory are said as what they are, and are no damage of the file."""

import errno
import os
import pickle
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dedup.files.documents import load_npy, save_npy
from shards.config import load_toml
from shards.errors import LimitError, RunError
from shards.limits import check_limits, raise_unless_damage
from shards.manifest import read_manifest
from shards.row_reader import RowReader
from shards.sink import ArrowSink, open_arrow, read_batches, read_table
from shards.source import SourceConfig
from shards.storage import InputFile, find_inputs, open_input


@contextmanager
def no_more_files() -> Iterator[None]:
    """This process may not open one more file."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/dev/null", os.O_RDONLY)  # the number that the next file would get
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_limit_of_open_files_is_one_line_with_its_remedy() -> None:
    with pytest.raises(LimitError) as raised:
        check_limits("mill.arrow", OSError(errno.EMFILE, "Too many open files"))
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert str(raised.value) == (
        f"mill.arrow: cannot be opened: this process may open {limit:,} files; raise the limit, as by `ulimit -n "
        f"{max(4096, 4 * limit)}`, and run the same command again, it resumes"
    )
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value), "as it comes from a worker"


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENFILE, "fs.file-max"), (errno.ENOMEM, "out of memory"), (errno.EMFILE, "ulimit")]
)
def test_other_limits_are_limits_too(number: int, words: str) -> None:
    with pytest.raises(LimitError, match=words):
        check_limits("mill.arrow", OSError(number, os.strerror(number)))


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EINVAL, None])
def test_other_errors_are_left_to_whoever_caught_them(number: int | None) -> None:
    raise_unless_damage("mill.arrow", OSError(number, "no such thing"))
    raise_unless_damage("mill.arrow", ValueError("not a number"))


def test_what_may_not_be_read_is_not_called_damaged() -> None:
    with pytest.raises(RunError, match=r"^a\.npy: cannot be read: Permission denied; check its rights and the disk$"):
        raise_unless_damage("a.npy", PermissionError(errno.EACCES, "Permission denied"))


def test_no_reader_takes_a_limit_for_damage(tmp_path: Path) -> None:
    save_npy(tmp_path / "a.documents.npy", np.zeros(3))
    schema = pa.schema([("text", pa.string())])
    with ArrowSink(tmp_path / "a.arrow", schema) as sink:
        sink.write(pa.RecordBatch.from_pylist([{"text": "mill"}], schema))
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "a.jsonl").write_text('{"text": "mill"}\n')
    file = InputFile(str(tmp_path / "a.jsonl"), "a.jsonl", 17)
    table = InputFile(str(tmp_path / "a.arrow"), "a.arrow", 17)
    readers = [
        lambda: load_npy(tmp_path / "a.documents.npy"),
        lambda: open_arrow(tmp_path / "a.arrow"),
        lambda: read_table(tmp_path / "a.arrow"),
        lambda: list(read_batches(tmp_path / "a.arrow")),
        lambda: read_manifest(tmp_path / "a.json"),
        lambda: load_toml(tmp_path / "a.json"),
        lambda: open_input(file),
        lambda: find_inputs([file.path], (".jsonl",), "source.a.paths"),
        lambda: list(RowReader(SourceConfig.parse({"kind": "jsonl"}, "a"), "a", file, 0)),
        lambda: list(RowReader(SourceConfig.parse({"kind": "shards"}, "a"), "a", table, 0)),
        lambda: save_npy(tmp_path / "b.npy", np.zeros(3)),
    ]
    for read in readers:
        with no_more_files(), pytest.raises(LimitError, match="this process may open"):
            read()
