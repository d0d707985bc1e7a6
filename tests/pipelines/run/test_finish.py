"""Finishing a unit joins passes and verdicts as a plain loop over its rows does."""

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.recipe import Pass, load_recipe
from pipelines.run.finish import Applied, FinishTask, finish_unit
from pipelines.run.folder import RunFolder
from pipelines.run.unit_files import carried_columns, facts_schema, ledger_schema, text_schema
from shards.exchange import SPANS, VERDICTS, GlobalStageConfig, columns_path, spans_path
from shards.manifest import Manifest, read_manifest, write_manifest
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
KEY = UnitKey("web", 0, 0)
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
    """Writes the files that two passes over `rows` would leave."""

    folder: RunFolder
    rows: list[Row]
    passes: tuple[Pass, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.folder.root.mkdir()
        recipe = self.folder.root.with_suffix(".toml")
        recipe.write_text(RECIPE.format(folder=self.folder.root))
        self.passes = load_recipe(str(recipe)).passes()

    def task(self) -> FinishTask:
        verdicts = [self._pass(pass_, carried) for pass_, carried in zip(
            self.passes, carried_columns(self.passes), strict=True)]  # fmt: skip
        return FinishTask(
            run=self.folder,
            key=KEY,
            passes=tuple(zip(self.passes, verdicts, strict=True)),
            ledger=ledger_schema(self.passes),
            fingerprint="f",
            recipe="r",
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
            known = {"row": row, "id": f"{row:032x}", "drop_reasons": reasons}
            facts.append({**known, **sizes, f"{name}.word_count": 10 * row + number})
            if not reasons:
                before = made.copies[0] or 0 if number else None
                texts.append({**known, "text": text, "copies": before})
        self._write(RunFolder.pass_file(number, KEY, "facts"), facts, facts_schema(pass_))
        self._write(RunFolder.pass_file(number, KEY, "text"), texts, text_schema(carried))
        stats = {"documents/input": len(facts), "records/request": 2} if number == 0 else {}
        damage = [{"file": "a", "offset": 1, "cause": "torn"}] if number == 0 else []
        manifest = Manifest(str(KEY), "web", "a.jsonl", 0, 77, "f", stats, damage, {})
        write_manifest(self.folder.path(RunFolder.pass_manifest(number, KEY)), manifest)
        rows = [row["row"] for row in texts]
        return tuple(self._verdicts(number, stage, rows) for stage in pass_.global_)

    def _verdicts(self, number: int, stage: GlobalStageConfig, rows: list[int]) -> Applied:
        name = f"{RunFolder.stage_work(number, stage.name)}/{KEY}.arrow"
        applied = Applied(stage.name, stage.reason, self.folder.path(name))
        if stage.name not in REASONS:
            return applied
        removed, spans, added = [], [], []
        for text_row, made in ((i, self.rows[row]) for i, row in enumerate(rows)):
            if made.end == stage.name:
                removed.append({"row": text_row, "twin": f"twin of {text_row}", "similarity": 0.5})
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
                self._write(str(path.relative_to(self.folder.root)), found, schema)
        return applied

    def _write(self, name: str, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
        with self.folder.sink(name, schema) as sink:
            sink.write(pa.RecordBatch.from_pylist(rows, schema))


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
@given(made_up_rows())
def test_ledger_shard_and_counts_are_those_of_a_plain_loop(rows: list[Row]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Work(RunFolder(Path(folder) / "run"), rows)
        final = finish_unit(work.task())
        ledger = read_table(work.folder.path(RunFolder.ledger(KEY))).to_pylist()
        wanted = plain_ledger(rows)
        shard = read_table(work.folder.path(RunFolder.shard(KEY))).to_pylist()
    for row, found in zip(wanted, ledger, strict=True):
        assert {key: found[key] for key in row} == row
    kept = [(i, made) for i, made in enumerate(rows) if made.end == "kept"]
    assert [(row["id"], row["text"], row["copies"]) for row in shard] == [
        (f"{i:032x}", made.cut_text, wanted[i]["copies"]) for i, made in kept
    ]
    counts = {key: count for key, count in final.stats.items() if "same_record" not in key}
    assert counts == plain_counts(rows)
    assert final.damage == [{"file": "a", "offset": 1, "cause": "torn"}]
    assert (final.start, final.next_start, final.file) == (0, 77, "a.jsonl")


def test_the_manifest_names_shard_and_ledger_and_is_the_proof(tmp_path: Path) -> None:
    work = Work(RunFolder(tmp_path / "run"), [Row("kept", "abc", (), (None, None))])
    final = finish_unit(work.task())
    assert read_manifest(work.folder.path(RunFolder.manifest(KEY))) == final
    assert final.files.keys() == {RunFolder.shard(KEY), RunFolder.ledger(KEY)}
    assert {written.rows for written in final.files.values()} == {1}
    assert (final.recipe, final.fingerprint) == ("r", "f")
