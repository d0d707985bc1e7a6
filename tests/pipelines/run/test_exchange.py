"""Blocks of the exchange hold as many rows as they may, of one source and snapshot, and stay as they were laid out."""

from pathlib import Path

import pytest
from many_files import make_run, many

from pipelines.run import exchange
from pipelines.run.exchange import Exchange, Made
from pipelines.run.folder import RunFolder
from shards.unit_key import UnitKey

HUGE = 1 << 40  # bytes of memory


def made(source: str, rows: list[int], name: str = "a.jsonl") -> list[Made]:
    return [Made(UnitKey(source, number, 0), name, num_rows) for number, num_rows in enumerate(rows)]


def sizes(found: Exchange) -> list[int]:
    return [len(keys) for keys in found.layout]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_LEAST_ROWS", 10)
    monkeypatch.setattr(exchange, "_MOST_ROWS", 1_000)


@pytest.mark.parametrize(
    ("rows", "memory", "expected"),
    [
        ([4] * 10, HUGE, [2, 2, 2, 2, 2]),  # at most 10 rows
        ([25, 1, 1, 25], HUGE, [1, 2, 1]),  # a block of work is never cut
        ([100] * 128, HUGE, [2] * 64),  # a sixty-fourth of the rows
        ([100] * 128, 100 * 512, [1] * 128),  # as many as a task can hold
        ([10_000] * 70, HUGE, [1] * 70),  # no more than the most
        ([0, 0, 0], HUGE, [3]),
    ],
)
def test_a_block_holds_as_many_rows_as_it_may(
    tmp_path: Path, rows: list[int], memory: int, expected: list[int]
) -> None:
    run = make_run(tmp_path, {"web": many("a", 1, 50), "ark": many("b", 1, 50)})
    assert sizes(Exchange.of(run, made("web", rows), memory)) == expected


def test_a_block_has_rows_of_one_source_and_snapshot(tmp_path: Path) -> None:
    run = make_run(tmp_path, {"web": many("a", 1, 50), "ark": many("b", 1, 50)})
    web = [*made("web", [1, 1], "CC-MAIN-2024-10-a"), Made(UnitKey("web", 2, 0), "CC-MAIN-2024-18-a", 1)]
    assert sizes(Exchange.of(run, web + made("ark", [1, 1]), HUGE)) == [2, 1, 2]


def test_a_resumed_run_keeps_its_layout_with_other_memory(tmp_path: Path) -> None:
    run = make_run(tmp_path, {"web": many("a", 1, 50), "ark": many("b", 1, 50)})
    before = Exchange.of(run, made("web", [100] * 128), HUGE)
    assert run.folder.has(RunFolder.EXCHANGE)
    assert Exchange.of(run, made("web", [100] * 128), 100 * 512).layout == before.layout


def test_places_are_rows_of_the_block(tmp_path: Path) -> None:
    run = make_run(tmp_path, {"web": many("a", 1, 50), "ark": many("b", 1, 50)})
    found = Exchange.of(run, made("web", [4, 5, 9, 1]), HUGE)
    later = made("web", [3, 5, 8, 1])  # what a later pass left
    assert [*found.places(later).values()] == [(0, 0), (0, 3), (1, 0), (1, 8)]
