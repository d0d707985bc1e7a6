"""A large file that is split into its units ahead gives the bytes of one that is read unit after unit."""

import gzip
import io
import json
import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from crawl import RECIPE, Crawl, article, sentences
from fastwarc.stream_io import Lz4Writer
from http_server import serving
from run_digest import digest

from cleaners.crawl import warc
from pipelines.executors import Executor, InProcess, ProcessPool, Watch
from pipelines.executors.protocol import Then, Tick
from pipelines.passes import execute
from pipelines.progress import Progress
from pipelines.recipe import load_recipe
from pipelines.run import pass_run, splitting
from pipelines.run.folder import RunFolder
from pipelines.run.opening import open_run
from pipelines.run.splitting import OpenChain, large_chains
from pipelines.run.units import BlockTask
from pipelines.verbs.verify import verify_run
from shards import row_reader
from shards.source import SourceConfig
from shards.storage import InputFile
from shards.unit_key import UnitKey

RECORDS = 12  # of a unit
UNITS = 7  # of `crawl`
LOCAL = """
[source.web]
kind = "warc"

[[stage]]
kind = "page"

[[stage]]
kind = "extract"
engine = "resiliparse"

[output]
texts = true
"""


class Claims(InProcess):
    """Runs the tasks of each map in the order that it is worst to expect, here, and says that it has four workers."""

    def __init__(self) -> None:
        super().__init__()
        self.workers = 4
        self.passed: list[UnitKey] = []
        self.scans = 0

    def map_watched(
        self,
        fn: Callable[[Any, Watch], Any],
        tasks: Sequence[Any],
        then: Then = lambda _: (),
        tick: Tick | None = None,
    ) -> Iterator[Any]:
        def noted(task: Any, watch: Watch) -> Any:
            self.passed += [task.key] if isinstance(task, BlockTask) and task.pass_.number == 0 else []
            self.scans += isinstance(task, splitting._Scan)
            return fn(task, watch)

        return super().map_watched(noted, [*reversed(tasks)], then, tick)


def with_small_units(fn: Callable[[Any, Watch], Any], records: int, task: Any, watch: Watch) -> Any:
    warc.UNIT_RECORDS = records
    return fn(task, watch)


class SmallUnits(ProcessPool):
    """A pool whose processes make units of few records."""

    def map_watched(
        self,
        fn: Callable[[Any, Watch], Any],
        tasks: Sequence[Any],
        then: Then = lambda _: (),
        tick: Tick | None = None,
    ) -> Iterator[Any]:
        return super().map_watched(partial(with_small_units, fn, warc.UNIT_RECORDS), tasks, then, tick)


@cache
def crawl(gzipped: bool = True) -> bytes:
    made = Crawl(gzip=gzipped).other("warcinfo")
    for i in range(40):
        made.other("request").page(f"https://a.example/{i}", article(f"Page {i}", sentences(i % 30)))
    return made.data


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warc, "UNIT_RECORDS", RECORDS)
    monkeypatch.setattr(splitting, "_LEAST_BYTES", 1_000)
    monkeypatch.setattr(splitting, "_LEAST_PIECE", 500)


class Stopped(Exception):
    """Ends a run before units are finished."""


def passed(root: Path, paths: object, out: str, executor: Executor, recipe: str = LOCAL) -> Path:
    """The folder of a run whose units have gone through the first pass."""
    return followed(root, paths, out, executor, recipe)[0]


def followed(
    root: Path, paths: object, out: str, executor: Executor, recipe_text: str = LOCAL
) -> tuple[Path, list[Progress]]:
    """The same folder, and the progress that was reported."""
    phases: list[Progress] = []

    def report(progress: Progress) -> None:
        phases.append(progress)
        if progress.phase == "finish":
            raise Stopped

    (root / "recipe.toml").write_text(recipe_text)
    recipe = load_recipe(str(root / "recipe.toml"), [f'source.paths="{paths}"'])
    with pytest.raises(Stopped):
        execute(open_run(recipe, root / out), executor, report)
    return root / out, phases


def compared(root: Path, data: bytes) -> tuple[Claims, int]:
    """(what a run that splits did, units) after a comparison with a run that does not."""
    path, executor = root / "a.warc", Claims()
    path.write_bytes(data)
    chain, split = passed(root, path, "chain", InProcess()), passed(root, path, "split", executor)
    assert digest(chain) == digest(split)
    return executor, len(RunFolder(chain).passed_blocks(0))


DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "whole": lambda data: data,
    "broken in the middle": lambda data: data[: len(data) // 2] + b"\0" * 900 + data[len(data) // 2 + 900 :],
    "broken at its beginning": lambda data: data[:40] + b"\xff" * 20 + data[60:],
    "cut": lambda data: data[:-9],
    "with bytes between": lambda data: data[:-9] + b"\n\nno record\n\n" + data,
}


@pytest.mark.parametrize("gzipped", [True, False], ids=["gzip", "plain"])
@pytest.mark.parametrize("damage", DAMAGED)
def test_the_bytes_of_a_split_file_are_those_of_a_chain(tmp_path: Path, damage: str, gzipped: bool) -> None:
    executor, num_units = compared(tmp_path, DAMAGED[damage](crawl(gzipped)))
    assert num_units >= UNITS - 1
    assert executor.scans > 4
    assert sorted(executor.passed) == [UnitKey("web", 0, part) for part in range(num_units)]
    assert executor.passed != sorted(executor.passed)


def lz4(data: bytes) -> bytes:
    frame = io.BytesIO()
    with Lz4Writer(frame) as writer:
        writer.write(data)
    return frame.getvalue()


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress, lz4])
def test_a_file_that_cannot_be_entered_in_its_middle_is_one_unit(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    executor, num_units = compared(tmp_path, compress(crawl(gzipped=False)))
    assert num_units == 1
    assert executor.scans == 0


def test_a_file_of_another_kind_is_read_to_its_first_text_only(tmp_path: Path) -> None:
    text = b"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Length: 6\r\n\r\na text\r\n\r\n"
    (tmp_path / "a.warc").write_bytes(text + crawl(gzipped=False))
    (tmp_path / "b.warc").write_bytes(crawl(gzipped=False)[:9_000])
    executor = Claims()
    split = passed(tmp_path, tmp_path / "*.warc", "split", executor)
    assert [key for key in executor.passed if key.file == 0] == [UnitKey("web", 0, 0)]
    assert executor.scans == 0
    assert digest(split) == digest(passed(tmp_path, tmp_path / "*.warc", "chain", InProcess()))


def test_of_many_files_only_the_large_one_is_split(tmp_path: Path) -> None:
    for i in range(5):
        (tmp_path / f"{i}.warc.gz").write_bytes(crawl()[: 2_000 + i])
    (tmp_path / "large.warc.gz").write_bytes(crawl())
    split, phases = followed(tmp_path, tmp_path / "*.warc.gz", "split", Claims())
    parts = [phase for phase in phases if phase.phase == splitting.PHASE]
    assert {part.bytes_total for part in parts} == {len(crawl())}
    assert parts[-1].bytes_done == len(crawl())
    assert digest(split) == digest(passed(tmp_path, tmp_path / "*.warc.gz", "chain", InProcess()))


def test_progress_counts_each_byte_once_whatever_unit_ends_first(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(crawl())
    _, phases = followed(tmp_path, path, "split", Claims())
    done = [phase.bytes_done for phase in phases if phase.phase == "pass 0" and phase.units_done]
    assert done == sorted(done)
    assert done[0] < len(crawl()) // 2
    assert done[-1] == len(crawl())


@pytest.mark.parametrize("again", [Claims, InProcess])
def test_units_that_are_made_stay_whatever_is_missing_between_them(
    tmp_path: Path, again: Callable[[], Executor]
) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(crawl())
    split = passed(tmp_path, path, "split", Claims())
    wanted = digest(split)
    missing = [UnitKey("web", 0, part) for part in (1, 2, 4, 6)]
    for key in missing:
        RunFolder(split).delete(RunFolder.pass_manifest(0, key))
    before = {path: path.stat().st_mtime_ns for path in split.glob("work/0/*.json")}
    executor = again()
    passed(tmp_path, path, "split", executor)
    assert len(before) == UNITS - len(missing)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    if isinstance(executor, Claims):
        assert sorted(executor.passed) == missing
    assert digest(split) == wanted


WRONG: dict[str, Callable[[list[int]], list[int]]] = {
    "shifted": lambda starts: [*starts[:2], starts[2] - 5, *starts[3:]],
    "one lacks": lambda starts: [*starts[:2], *starts[3:]],
    "one too many": lambda starts: [*starts[:2], starts[2] - 5, *starts[2:]],
    "too few": lambda starts: starts[:3],
    "past the end": lambda starts: [*starts, starts[-1] + 10],
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_the_units_say_of_their_ends_overrules_what_was_found_ahead(
    tmp_path: Path, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, found = tmp_path / "a.warc.gz", splitting.starts_ahead
    path.write_bytes(crawl())
    chain = digest(passed(tmp_path, path, "chain", InProcess()))

    def wrongly(*arguments: Any) -> dict[UnitKey, list[int]]:
        return {key: WRONG[wrong](starts) for key, starts in found(*arguments).items()}

    monkeypatch.setattr(pass_run, "starts_ahead", wrongly)
    split = passed(tmp_path, path, "split", Claims())
    assert digest(split) == chain


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_files_of_rows_are_split_too(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_reader, "UNIT_RECORDS", RECORDS)
    rows = [{"text": " ".join(sentences(i)), "url": f"https://a.example/{i}"} for i in range(80)]
    path = tmp_path / f"a.{kind}"
    if kind == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=4)
    recipe = LOCAL[LOCAL.index("[output]") :] + f'[source.rows]\nkind = "{kind}"\n[[stage]]\nkind = "gopher_quality"\n'
    executor = Claims()
    chain, split = (
        passed(tmp_path, path, "chain", InProcess(), recipe),
        passed(tmp_path, path, "split", executor, recipe),
    )
    assert digest(chain) == digest(split)
    assert executor.scans > 4
    assert executor.passed[0].part > 0
    assert sorted(executor.passed) == [UnitKey("rows", 0, part) for part in range(7)]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_remote_file_is_split_where_its_server_sends_parts(tmp_path: Path, ranges: bool) -> None:
    with serving({"/a.warc.gz": crawl()}, ranges=ranges) as site:
        executor = Claims()
        split = passed(tmp_path, f"{site.url}a.warc.gz", "split", executor)
        assert (executor.scans > 0) is ranges
        assert digest(split) == digest(passed(tmp_path, f"{site.url}a.warc.gz", "chain", InProcess()))


def test_a_split_file_goes_through_global_stages_as_a_chain_does(tmp_path: Path) -> None:
    path, digests = tmp_path / "a.warc.gz", list[dict[str, str]]()
    path.write_bytes(crawl())
    (tmp_path / "recipe.toml").write_text(RECIPE)
    for out, executor in (("chain", InProcess()), ("split", Claims())):
        recipe = load_recipe(str(tmp_path / "recipe.toml"), [f'source.paths="{path}"'])
        execute(open_run(recipe, tmp_path / out), executor, lambda _: None)
        assert verify_run(tmp_path / out) == (UNITS, [])
        digests.append(digest(tmp_path / out))
    assert digests[0] == digests[1]


@pytest.mark.slow
def test_pools_of_any_size_split_a_file_into_the_same_units(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(crawl())
    chain = digest(passed(tmp_path, path, "chain", InProcess()))
    for workers in (2, 4):
        split, phases = followed(tmp_path, path, f"split-{workers}", SmallUnits(workers))
        assert digest(split) == chain
        assert splitting.PHASE in {phase.phase for phase in phases}


@pytest.mark.slow
@pytest.mark.real
def test_a_file_of_the_real_crawl_gives_the_same_bytes_split_or_not(
    tmp_path: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warc, "UNIT_RECORDS", 40)
    executor, num_units = compared(tmp_path, (real_data / "crawl" / "part-00.warc.gz").read_bytes())
    assert num_units == 10
    assert len(executor.passed) == num_units


def chain(num_bytes: int, start: int = 0, kind: str = "warc") -> OpenChain:
    file = InputFile("/none", "none", num_bytes)
    return OpenChain(UnitKey("web", num_bytes, 0), SourceConfig(kind=kind), file, start)  # type: ignore[arg-type]


def sizes(chains: Sequence[OpenChain]) -> list[int]:
    return [found.file.num_bytes for found in chains]


def test_a_file_is_large_where_it_would_keep_one_worker_busy_after_the_others() -> None:
    small = [chain(2_000)] * 20
    assert sizes(large_chains([chain(9_999), *small], 2)) == []
    assert sizes(large_chains([chain(50_000), *small], 2)) == [50_000]
    assert sizes(large_chains([chain(50_000, start=49_000), *small], 2)) == []
    assert sizes(large_chains([chain(50_000), *small], 1)) == []
    assert sizes(large_chains([chain(900)], 64)) == []
    assert sizes(large_chains([chain(50_000)] * 4, 2)) == []
    assert sizes(large_chains([chain(50_000)] * 3, 2)) == [50_000] * 3


def test_fewer_files_are_split_than_twice_the_workers() -> None:
    draws = random.Random(2)
    for _ in range(200):
        workers = draws.randint(2, 9)
        chains = [chain(int(draws.paretovariate(0.6) * 1_000)) for _ in range(draws.randint(1, 40))]
        assert len(large_chains(chains, workers)) < 2 * workers
