"""Finishing a block joins passes and verdicts as a plain loop over its rows does."""

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.recipe import Pass, load_recipe
from pipelines.run.blocks import MadeBlock, MadeUnit, write_block
from pipelines.run.finish import Applied, Decided, FinishTask, finish_block
from pipelines.run.folder import RunFolder
from pipelines.run.unit_files import carried_columns, facts_schema, ledger_schema, text_schema
from shards.exchange import SPANS, VERDICTS, GlobalStageConfig, columns_path, spans_path
from shards.manifest import read_manifest
from shards.sink import read_table
from shards.unit_key import UnitKey

# Two passes: `same` adds the column copies, `cut` cuts spans, and `last` adds copies again.
RECIPE = """
[source.web]
kind = "jsonl"
paths = ["{folder}"]
[[stage]]
kind = "gopher_quality"
name = "first"
[[stage]]
kind = "exact"
name = "same"
[[stage]]
kind = "substring"
name = "cut"
[[stage]]
kind = "gopher_quality"
name = "again"
[[stage]]
kind = "exact"
name = "last"
"""
KEY = UnitKey("web", 0, 0)  # of the block; its units are the parts of the file
REASONS = {"same": "dedup.exact", "cut": "dedup.substring", "last": "dedup.exact"}  # of the global stages
ENDS = ("first", "same", "cut", "again", "last", "kept")  # where a row ends


@dataclass(frozen=True)
class Row:
    """A made-up row: where it ends, and what the stages that it reaches say of it."""

    end: str
    text: str
    spans: tuple[tuple[int, int], ...]  # characters that `cut` cuts
    copies: tuple[int | None, int | None]  # as `same` and `last` count them; None: they say nothing

    def reaches(self, stage: str) -> bool:
        return ENDS.index(self.end) >= ENDS.index(stage)

    def passes(self, stage: str) -> bool:
        return ENDS.index(self.end) > ENDS.index(stage)

    @property
    def cut_text(self) -> str:
        return "".join(c for i, c in enumerate(self.text) if not any(a <= i < b for a, b in self.spans))

    @property
    def removed(self) -> str:
        return "".join(self.text[a:b] for a, b in self.spans)


@st.composite
def made_up_rows(draw: st.DrawFn) -> list[Row]:
    made = []
    for end in draw(st.lists(st.sampled_from(ENDS), max_size=12)):
        text = draw(st.text("aü文 ", max_size=12))
        bounds = sorted(draw(st.sets(st.integers(0, len(text)), max_size=4)))
        spans = tuple(zip(bounds[::2], bounds[1::2], strict=False))
        copies = (draw(st.none() | st.integers(1, 9)), draw(st.none() | st.integers(1, 9)))
        made.append(Row(end, text, spans, copies))
    return made


@dataclass
class Work:
    """Writes the files that two passes over a block of `units` would leave, before which `first` rows are decided."""

    folder: RunFolder
    units: list[list[Row]]
    first: int = 0
    passes: tuple[Pass, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.folder.root.mkdir()
        recipe = self.folder.root.with_suffix(".toml")
        recipe.write_text(RECIPE.format(folder=self.folder.root))
        self.passes = load_recipe(str(recipe)).passes()
        self.rows = [row for unit in self.units for row in unit]
        self.begins = [sum(map(len, self.units[:unit])) for unit in range(len(self.units))]
        self.unit_of = [unit for unit, rows in enumerate(self.units) for _ in rows]

    def task(self) -> FinishTask:
        verdicts = [self._pass(pass_, carried) for pass_, carried in zip(
            self.passes, carried_columns(self.passes), strict=True)]  # fmt: skip
        return FinishTask(
            run=self.folder,
            key=KEY,
            passes=tuple(Decided(*of_pass, self.first) for of_pass in zip(self.passes, verdicts, strict=True)),
            ledger=ledger_schema(self.passes),
            fingerprint="f",
            recipe="r",
            dropped_per_rule=0,
        )

    def _pass(self, pass_: Pass, carried: pa.Schema) -> tuple[Applied, ...]:
        name, number = pass_.local[0].name, pass_.number
        facts, texts = [], []
        for row, made in enumerate(self.rows):
            if not made.reaches(name):
                continue
            text = made.text if number == 0 else made.cut_text
            sizes = {"text_chars": len(text), "text_bytes": len(text.encode())}
            reasons = [] if made.passes(name) else [f"{name}.too_few_words"]
            known = {"row": row - self.begins[self.unit_of[row]], "id": f"{row:032x}", "drop_reasons": reasons}
            facts.append({**known, **sizes, f"{name}.word_count": 10 * row + number})
            if not reasons:
                before = made.copies[0] or 0 if number else None
                texts.append({**known, "text": text, "copies": before})
        facts_of, texts_of = self._by_unit(facts), self._by_unit(texts)
        self._write(RunFolder.pass_file(number, KEY, "facts"), facts_of, facts_schema(pass_))
        self._write(RunFolder.pass_file(number, KEY, "text"), texts_of, text_schema(carried))
        damage = [{"file": "a", "offset": 1, "cause": "torn"}] if number == 0 else []
        units = [
            MadeUnit(
                key=str(UnitKey("web", 0, unit)),
                file="a.jsonl",
                start=unit,
                next_start=77 + unit,
                stats={"documents/input": len(facts_of[unit]), "records/request": 2} if number == 0 else {},
                damage=damage,
                rows=len(facts_of[unit]),
                live_rows=len(texts_of[unit]),
                dropped_rows=0,
            )
            for unit in range(len(self.units))
        ]
        write_block(self.folder.path(RunFolder.pass_manifest(number, KEY)), MadeBlock("f", tuple(units), {}))
        rows = [int(row["id"], 16) for row in texts]
        return tuple(self._verdicts(number, stage, rows) for stage in pass_.global_)

    def _by_unit(self, rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        return [[row for row in rows if self.unit_of[int(row["id"], 16)] == unit] for unit in range(len(self.units))]

    def _verdicts(self, number: int, stage: GlobalStageConfig, rows: list[int]) -> Applied:
        name = f"{RunFolder.stage_work(number, stage.name)}/{KEY}.arrow"
        applied = Applied(stage.name, stage.reason, self.folder.path(name))
        if stage.name not in REASONS:
            return applied
        removed, spans, added = [], [], []
        if self.first and name.endswith(f"{KEY}.arrow"):  # of other blocks that share the file
            removed.append({"row": self.first - 1, "twin": "other", "similarity": 0.1})
            spans.append({"row": self.first - 1, "start": 0, "end": 1, "chars": 1, "twin": "t", "twin_start": 0})
            added.append({"row": self.first - 1, "copies": 99})
        for text_row, made in ((self.first + i, self.rows[row]) for i, row in enumerate(rows)):
            if made.end == stage.name:
                twin = f"twin of {text_row - self.first}"
                removed.append({"row": text_row, "twin": twin, "similarity": 0.5})
            elif made.passes(stage.name) and stage.name == "cut":
                for start, end in made.spans:
                    begin, size = len(made.text[:start].encode()), len(made.text[start:end].encode())
                    span = {"row": text_row, "start": begin, "end": begin + size, "chars": end - start}
                    spans.append({**span, "twin": "t", "twin_start": 0})
            elif made.passes(stage.name):
                copies = made.copies[number]
                added += [] if copies is None else [{"row": text_row, "copies": copies}]
        for path, found, schema in (
            (applied.path, removed, VERDICTS),
            (spans_path(applied.path), spans, SPANS),
            (columns_path(applied.path), added, pa.schema([("row", pa.int64()), ("copies", pa.int64())])),
        ):
            if found:
                self._write(str(path.relative_to(self.folder.root)), [found], schema)
        return applied

    def _write(self, name: str, units: list[list[dict[str, Any]]], schema: pa.Schema) -> None:
        with self.folder.sink(name, schema) as sink:
            for rows in units:
                sink.write(pa.RecordBatch.from_pylist(rows, schema))
                sink.end_batch()


def plain_ledger(rows: list[Row]) -> list[dict[str, Any]]:
    found = []
    for row, made in enumerate(rows):
        second = made.reaches("again")
        twin = None
        if made.end in REASONS:
            first = "first" if made.end != "last" else "again"
            twin = f"twin of {sum(other.passes(first) for other in rows[:row])}"
        text = made.cut_text if second else made.text
        copies = (made.copies[0] or 0 if made.passes("same") else 0) if made.passes("first") else None
        if made.passes("last") and made.copies[1] is not None:
            copies = made.copies[1]
        reason = REASONS.get(made.end, f"{made.end}.too_few_words")
        found.append(
            {
                "id": f"{row:032x}",
                "drop_reasons": [] if made.end == "kept" else [reason],
                "twin": twin,
                "similarity": None if twin is None else 0.5,
                "text_chars": len(text),
                "text_bytes": len(text.encode()),
                "first.word_count": 10 * row,
                "again.word_count": 10 * row + 1 if second else None,
                "cut.spans": len(made.spans) if second else None,
                "cut.removed_chars": len(made.removed) if second else None,
                "copies": copies,
            }
        )
    return found


def plain_counts(rows: list[Row]) -> dict[str, int]:
    """The counts of the unit by its global stages and at the end of the run."""
    counts: Counter[str] = Counter({"documents/input": len(rows), "records/request": 2})
    for stage, reason in REASONS.items():
        for kind in ("dropped", "failed"):
            counts[f"{kind}/{reason}"] += sum(made.end == stage for made in rows)
        texts = [made.text if stage == "same" else made.cut_text for made in rows if made.passes(stage)]
        counts[f"funnel/{stage}/documents"] = len(texts)
        counts[f"funnel/{stage}/characters"] = sum(map(len, texts))
        counts[f"funnel/{stage}/bytes"] = sum(len(text.encode()) for text in texts)
    after = [made for made in rows if made.passes("cut")]
    counts["cut/cut/documents"] = sum(bool(made.spans) for made in after)
    counts["cut/cut/spans"] = sum(len(made.spans) for made in after)
    counts["cut/cut/characters"] = sum(len(made.removed) for made in after)
    counts["documents/kept"] = sum(made.end == "kept" for made in rows)
    return {key: count for key, count in counts.items() if count}


@settings(max_examples=60)
@given(st.lists(made_up_rows(), min_size=1, max_size=4), st.integers(0, 3))
def test_ledgers_shards_and_counts_are_those_of_a_plain_loop(units: list[list[Row]], first: int) -> None:
    keys = [UnitKey("web", 0, unit) for unit in range(len(units))]
    with tempfile.TemporaryDirectory() as folder:
        work = Work(RunFolder(Path(folder) / "run"), units, first)
        finals = finish_block(work.task()).manifests
        wanted = plain_ledger(work.rows)
        ledgers = [read_table(work.folder.path(RunFolder.ledger(key))).to_pylist() for key in keys]
        shards = [read_table(work.folder.path(RunFolder.shard(key))).to_pylist() for key in keys]
        together = work.folder.path(RunFolder.block_ledger(KEY))
        assert together.exists() == (len(units) > 1)
        if len(units) > 1:
            assert read_table(together).to_pylist() == [row for ledger in ledgers for row in ledger]
    for unit, (rows, begin) in enumerate(zip(units, work.begins, strict=True)):
        for row, found in zip(wanted[begin : begin + len(rows)], ledgers[unit], strict=True):
            assert {key: found[key] for key in row} == row
        kept = [(i, made) for i, made in enumerate(rows, begin) if made.end == "kept"]
        assert [(row["id"], row["text"], row["copies"]) for row in shards[unit]] == [
            (f"{i:032x}", made.cut_text, wanted[i]["copies"]) for i, made in kept
        ]
        final = finals[unit]
        counts = {key: count for key, count in final.stats.items() if "same_record" not in key}
        assert counts == plain_counts(rows)
        assert final.damage == [{"file": "a", "offset": 1, "cause": "torn"}]
        assert (final.start, final.next_start, final.file) == (unit, 77 + unit, "a.jsonl")


def test_the_manifest_names_shard_and_ledger_and_is_the_proof(tmp_path: Path) -> None:
    work = Work(RunFolder(tmp_path / "run"), [[Row("kept", "abc", (), (None, None))]])
    (final,) = finish_block(work.task()).manifests
    assert read_manifest(work.folder.path(RunFolder.manifest(KEY))) == final
    assert final.files.keys() == {RunFolder.shard(KEY), RunFolder.ledger(KEY)}
    assert {written.rows for written in final.files.values()} == {1}
    assert (final.recipe, final.fingerprint) == ("r", "f")
