"""What goes wrong in workers of a pool: they run out of memory, and pages hang the engine that extracts them."""

import resource
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from crawl import RECIPE, SENTENCES, Crawl, article, sentences
from fault_runs import Faults, run_bytes

from cleaners import extract
from cleaners.engines.child import ExtractionChild
from pipelines.executors import Executor, InProcess, ProcessPool, Watch
from pipelines.executors.protocol import Then, Tick
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.run.folder import RunFolder
from pipelines.run.opening import open_run


class Disturbed(ProcessPool):
    """A pool in whose workers something happens before each task."""

    def __init__(self, happens: Callable[[Any], None]) -> None:
        super().__init__(2)
        self._happens = happens

    def map_watched(
        self,
        fn: Callable[[Any, Watch], Any],
        tasks: Sequence[Any],
        then: Then = lambda _: (),
        tick: Tick | None = None,
    ) -> Iterator[Any]:
        return super().map_watched(partial(disturbed, self._happens, fn), tasks, then, tick)


def disturbed(happens: Callable[[Any], None], fn: Callable[[Any, Watch], Any], task: Any, watch: Watch) -> Any:
    happens(task)
    return fn(task, watch)


def starve_once(folder: Path, task: Any) -> None:
    """Need more memory than there is, the first time that the task is run."""
    mark = folder / f"{crc32(repr(task).encode()):x}"
    if not mark.exists() and sum(1 for _ in folder.iterdir()) < 8:
        mark.touch()
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, most))
        bytearray(64 << 30)


@pytest.mark.slow
def test_workers_that_run_out_of_memory_are_replaced(
    recipe: Path, undisturbed: dict[str, str], faults: Faults, tmp_path: Path
) -> None:
    (tmp_path / "marks").mkdir()
    pool = Disturbed(partial(starve_once, tmp_path / "marks"))
    execute(open_run(load_recipe(str(recipe)), tmp_path / "run"), pool, lambda _: None)
    assert pool.num_lost >= 4
    faults.add("worker out of memory; pool", pool.num_lost)
    faults.end(tmp_path / "run", undisturbed)


def have_little_patience(_: object = None) -> None:
    extract.ExtractionChild = partial(ExtractionChild, cpu_seconds=0.5)  # type: ignore[assignment, misc]


@pytest.mark.slow
def test_a_page_that_hangs_its_engine_is_named_and_dropped_wherever_its_unit_is_made(
    faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "ExtractionChild", extract.ExtractionChild)  # put back after the test
    have_little_patience()
    hangs = article("Long", SENTENCES * 5_000).replace(". ", ".</p><p class='x'>")
    for name in "ab":
        crawl = Crawl()
        for i in range(5):
            page = hangs if i == 2 else article(f"Page {i}", sentences(i))
            crawl.page(f"https://{name}.example/{i}", page, record_id=f"<urn:{name}{i}>")
        crawl.write(tmp_path / "crawl" / f"{name}.warc.gz")
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE.replace('engine = "resiliparse"', 'engine = "trafilatura"'))

    def made(name: str, executor: Executor) -> Path:
        recipe = load_recipe(str(path), [f'source.web.paths="{tmp_path}/crawl"'])
        execute(open_run(recipe, tmp_path / name), executor, lambda _: None)
        return tmp_path / name

    pool, alone = made("pool", Disturbed(have_little_patience)), made("alone", InProcess())
    lines = (pool / RunFolder.KILLS).read_text().splitlines()
    assert [url in "".join(lines) for url in ("a.example/2", "b.example/2", "a.example/1")] == [True, True, False]
    assert all('"cause": "cpu_time"' in line for line in lines)
    faults.add("poison page; pool", len(lines))
    faults.end(pool, run_bytes(alone))
