"""A block of units through one pass: facts of every row, texts of live and of dropped rows, the manifest last."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from crawl import RECIPE, Crawl, article, sentences

from pipelines.recipe import Recipe, load_recipe
from pipelines.run.blocks import MadeUnit, read_block
from pipelines.run.folder import RunFolder
from pipelines.run.opening import Run, open_run
from pipelines.run.unit_files import DROPPED, carried_columns, facts_schema, text_schema
from pipelines.run.units import BlockTask, UnitInput, following, run_block
from shards.errors import Interrupted
from shards.exchange import Block
from shards.manifest import file_sha256
from shards.sink import open_arrow, read_table
from shards.unit_key import UnitKey

KEY = UnitKey("web", 0, 0)
# A second pass after `near`: it drops what the first one kept.
TWO_PASSES = RECIPE + '\n[[stage]]\nkind = "gopher_quality"\nname = "again"\nmin_words = 150\n'


class CountingWatch:
    """Counts what a unit reports, and stops it at the batch with this number."""

    losses = 0

    def __init__(self, stop_at: int | None = None) -> None:
        self.counters, self.steps = [0, 0, 0], list[list[int]]()
        self._left = stop_at

    def check_stop(self) -> None:
        if self._left is not None:
            if self._left == 0:
                raise Interrupted("interrupted")
            self._left -= 1

    def advance(self, documents: int, kept: int, num_bytes: int) -> None:
        self.steps.append([documents, kept, num_bytes])
        self.counters = [a + b for a, b in zip(self.counters, self.steps[-1], strict=True)]


@pytest.fixture
def opened(tmp_path: Path) -> Run:
    """A run of one file with 8 records: 4 long pages, 2 short ones, 1 that was not found and 1 without text."""
    crawl = Crawl()
    for i in range(4):
        crawl.page(f"https://a.example/{i}", article(f"Page {i}", sentences(i)[: 4 + 2 * (i % 2)]))
        if i % 2:
            crawl.page(f"https://short.example/{i}", article("Short", ["Too short."]))
    crawl.page("https://lost.example/", article("Lost", sentences(9)), status="404 Not Found")
    crawl.page("https://empty.example/", "<p>")
    crawl.write(tmp_path / "crawl" / "a.warc.gz")
    path = tmp_path / "recipe.toml"
    path.write_text(TWO_PASSES)
    return open_run(load_recipe(str(path), [f'source.paths="{tmp_path}/crawl"']), tmp_path / "run")


def task_of(opened: Run, number: int = 0, **changes: Any) -> BlockTask:
    recipe: Recipe = opened.recipe
    passes = recipe.passes()
    task = BlockTask(
        run=opened.folder,
        key=KEY,
        units=(UnitInput(KEY, opened.inputs["web"][0]),) if number == 0 else (),
        pass_=passes[number],
        source=recipe.sources["web"],
        carried=carried_columns(passes)[number],
        fingerprint=opened.digest,
        keep_dropped=True,
        keep_texts=True,
    )
    return replace(task, **changes)


def table(opened: Run, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_table(opened.folder.path(name)).to_pylist()
    return rows


def made(opened: Run, task: BlockTask) -> MadeUnit:
    (unit,) = run_block(task, CountingWatch()).block.units
    return unit


def test_every_row_has_facts_and_live_rows_have_their_text(opened: Run) -> None:
    manifest = made(opened, task_of(opened))
    facts = table(opened, RunFolder.pass_file(0, KEY, "facts"))
    assert [row["row"] for row in facts] == list(range(8))
    reasons = [row["drop_reasons"] for row in facts]
    assert [bool(found) for found in reasons] == [False, False, True, False, False, True, True, True]
    assert [found[0] for found in reasons if found] == [
        *["gopher_quality.too_few_words"] * 2,
        "page.bad_status",
        "extract.no_text",
    ]
    text = table(opened, RunFolder.pass_file(0, KEY, "text"))
    assert [row["row"] for row in text] == [0, 1, 3, 4]
    for row in text:
        assert facts[row["row"]]["text_chars"] == len(row["text"])
        assert facts[row["row"]]["id"] == row["id"]
    assert manifest.stats["documents/input"] == 8
    assert manifest.stats["dropped/gopher_quality.too_few_words"] == 2


def test_texts_of_dropped_rows_are_kept_where_extraction_gave_one(opened: Run) -> None:
    made(opened, task_of(opened))
    dropped = {row["url"]: row["text"] for row in table(opened, RunFolder.pass_file(0, KEY, "dropped"))}
    assert dropped.keys() == {"https://short.example/1", "https://short.example/3", "https://empty.example/"}
    assert dropped["https://empty.example/"] == ""
    assert "Too short." in dropped["https://short.example/1"]


def test_what_extraction_gave_is_kept_for_every_row(opened: Run) -> None:
    made(opened, task_of(opened))
    texts = table(opened, RunFolder.texts(KEY))
    assert [bool(row["text"]) for row in texts] == [True] * 6 + [False] * 2


def test_dropped_and_extracted_texts_are_left_out_on_request(opened: Run) -> None:
    manifest = made(opened, task_of(opened, keep_dropped=False, keep_texts=False))
    assert table(opened, RunFolder.pass_file(0, KEY, "dropped")) == []
    assert not opened.folder.has(RunFolder.texts(KEY))
    assert manifest.texts is None


def test_the_files_have_the_columns_of_their_pass(opened: Run) -> None:
    made(opened, task_of(opened))
    first = opened.recipe.passes()[0]
    path = opened.folder.path
    assert open_arrow(path(RunFolder.pass_file(0, KEY, "facts"))).schema == facts_schema(first)
    assert open_arrow(path(RunFolder.pass_file(0, KEY, "text"))).schema == text_schema(task_of(opened).carried)
    assert open_arrow(path(RunFolder.pass_file(0, KEY, "dropped"))).schema == DROPPED


def test_the_manifest_proves_the_bytes_of_every_file(opened: Run) -> None:
    block = run_block(task_of(opened), CountingWatch()).block
    assert read_block(opened.folder.path(RunFolder.pass_manifest(0, KEY))) == block
    (unit,) = block.units
    assert (unit.key, unit.file, unit.start, unit.next_start) == (str(KEY), "a.warc.gz", 0, None)
    assert (unit.rows, unit.live_rows, unit.dropped_rows) == (8, 4, 3)
    assert block.fingerprint == opened.digest
    assert len(block.files) == 3
    assert unit.texts is not None
    for name, written in {**block.files, RunFolder.texts(KEY): unit.texts}.items():
        path = opened.folder.path(name)
        assert (written.num_bytes, written.sha256) == (path.stat().st_size, file_sha256(path))
        assert written.rows == open_arrow(path).count_rows()


def test_a_unit_that_is_stopped_has_no_manifest_and_no_files(opened: Run) -> None:
    task = task_of(opened)
    with pytest.raises(Interrupted):
        run_block(task, CountingWatch(stop_at=0))
    assert not opened.folder.has(RunFolder.pass_manifest(0, KEY))
    assert list(opened.folder.root.rglob("*.arrow")) == []


def test_progress_is_taken_back_when_the_manifest_counts_instead(opened: Run) -> None:
    watch = CountingWatch()
    run_block(task_of(opened), watch)
    assert watch.steps[0][:2] == [8, 4]
    assert watch.counters == [0, 0, 0]


def test_every_stage_has_its_seconds(opened: Run) -> None:
    seconds = run_block(task_of(opened), CountingWatch()).seconds
    assert seconds.keys() == {"read", "write", "page", "extract", "gopher_quality"}
    assert all(amount >= 0 for amount in seconds.values())


def test_units_of_one_file_follow_each_other_to_its_end(opened: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cleaners.crawl.warc.UNIT_RECORDS", 3)
    ids: list[str] = []
    unit: UnitInput | None = UnitInput(KEY, opened.inputs["web"][0])
    starts = []
    while unit is not None:
        starts.append(unit.start)
        task = task_of(opened, key=unit.key, units=(unit,))
        next_start = made(opened, task).next_start
        facts = table(opened, RunFolder.pass_file(0, task.key, "facts"))
        assert [row["row"] for row in facts] == list(range(len(facts)))
        ids += [row["id"] for row in facts]
        unit = None if next_start is None else following(unit, next_start)
    assert starts == sorted(set(starts))
    assert len(starts) == 3
    key = UnitKey("web", 0, 77)
    whole = task_of(opened, key=key, units=(UnitInput(key, opened.inputs["web"][0]),))
    monkeypatch.setattr("cleaners.crawl.warc.UNIT_RECORDS", 1000)
    made(opened, whole)
    assert ids == [row["id"] for row in table(opened, RunFolder.pass_file(0, whole.key, "facts"))]


def test_a_later_pass_reads_what_the_previous_one_left_and_keeps_its_row_numbers(opened: Run) -> None:
    made(opened, task_of(opened))
    text = opened.folder.path(RunFolder.pass_file(0, KEY, "text"))
    added = opened.recipe.passes()[0].global_[0].columns()
    later = task_of(opened, 1, previous=Block(0, str(KEY), (text,), (), tuple(added)))
    manifest = made(opened, later)
    facts = table(opened, RunFolder.pass_file(1, KEY, "facts"))
    assert [row["row"] for row in facts] == [0, 1, 3, 4]
    assert [row["drop_reasons"] for row in facts] == [
        [] if row["again.word_count"] >= 150 else ["again.too_few_words"] for row in facts
    ]
    kept = [row["row"] for row in facts if not row["drop_reasons"]]
    assert 0 < len(kept) < 4
    assert [row["row"] for row in table(opened, RunFolder.pass_file(1, KEY, "text"))] == kept
    assert "documents/input" not in manifest.stats
    assert manifest.texts is None


def test_a_block_holds_its_units_one_after_the_other(opened: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made(opened, task_of(opened))
    alone = {what: table(opened, RunFolder.pass_file(0, KEY, what)) for what in ("facts", "text", "dropped")}
    (again,) = (opened.inputs["web"][0],)
    monkeypatch.setattr("cleaners.crawl.warc.UNIT_RECORDS", 3)
    units = tuple(UnitInput(UnitKey("web", number, 0), again) for number in range(2))
    ran = run_block(task_of(opened, units=units, follow=True), CountingWatch())
    assert [unit.key for unit in ran.block.units] == [f"web-0000{n}-00{part}" for n in range(2) for part in range(3)]
    for what, rows in alone.items():
        found = table(opened, RunFolder.pass_file(0, KEY, what))
        assert sorted(row["id"] for row in found) == sorted(row["id"] for row in rows * 2)
    numbers = [row["row"] for row in table(opened, RunFolder.pass_file(0, KEY, "facts"))]
    assert numbers == [0, 1, 2, 0, 1, 2, 0, 1] * 2
    assert [unit.rows for unit in ran.block.units] == [3, 3, 2] * 2
    assert sum(unit.live_rows for unit in ran.block.units) == 8
    assert ran.rest == ()


def test_a_full_block_leaves_the_other_units_for_the_next(opened: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.run.units._FULL_ROWS", 5)
    monkeypatch.setattr("cleaners.crawl.warc.UNIT_RECORDS", 3)
    units = tuple(UnitInput(UnitKey("web", number, 0), opened.inputs["web"][0]) for number in range(2))
    ran = run_block(task_of(opened, units=units, follow=True), CountingWatch())
    assert [unit.key for unit in ran.block.units] == ["web-00000-000", "web-00000-001"]
    assert [str(unit.key) for unit in ran.rest] == ["web-00000-002", "web-00001-000"]
    assert ran.rest[0].start == ran.block.units[-1].next_start
