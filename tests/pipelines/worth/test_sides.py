"""The three sides of a run, and pages that are held out of all sides or of none."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pytest
from ledger_runs import make_run

from pipelines.ledger.table import Ledger
from pipelines.worth.sides import ShardsOf, Split, three_sides
from shards.errors import UserError
from shards.sink import read_table


def ids_of(batches: Iterable[pa.RecordBatch]) -> set[str]:
    return {id_ for batch in batches for id_ in batch["id"].to_pylist()}


def test_the_sides_are_all_extracted_text_the_wanted_languages_and_what_is_kept(run: Path) -> None:
    sides = three_sides(run)
    assert list(sides) == ["extracted", "languages", "clean"]
    ledger = Ledger.open(run)
    rows = ledger.rows(range(ledger.num_rows), ["id", "drop_reasons", "text_chars", "language"])
    by_language = {row["id"] for row in rows if any(r.startswith("language.") for r in row["drop_reasons"])}
    extracted, wanted, clean = (ids_of(side) for side in sides.values())
    assert clean == {row["id"] for row in rows if not row["drop_reasons"]}
    assert clean < wanted <= extracted
    assert extracted - wanted == extracted & by_language
    texts = {text for batch in sides["extracted"] for text in batch["text"].to_pylist()}
    assert all(text.strip() for text in texts)


def test_a_page_is_held_out_with_its_copies(run: Path, tmp_path: Path) -> None:
    sides = three_sides(run)
    split = Split.of(sides, [run], 0.3)
    assert split.representative
    ids = pa.array([*split.representative, *split.representative.values()])
    first, second = split.is_held_out(ids).reshape(2, -1)
    assert (first == second).all()


def test_no_side_trains_on_a_page_or_a_text_that_is_held_out(run: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    sides = three_sides(run)
    Split.of(sides, [run], 0.4).write(tmp_path, lines.append)
    assert len(lines) == len(sides)
    read = {folder.name: read_table(folder / "texts.arrow") for folder in tmp_path.iterdir()}
    held_out = [table for name, table in read.items() if name.endswith("-held-out")]
    assert sum(table.num_rows for table in held_out) > 3
    for name, side in sides.items():
        for column in ("id", "text"):
            out = {value for table in held_out for value in table[column].to_pylist()}
            assert not out & set(read[name][column].to_pylist())
        both = set(read[name]["id"].to_pylist()) | set(read[f"{name}-held-out"]["id"].to_pylist())
        assert both <= ids_of(side)


def test_a_run_of_texts_has_no_three_sides(run: Path, tmp_path: Path) -> None:
    recipe = (run.parent / "run.toml").read_text()
    without = make_run(tmp_path / "run", run.parent / "crawl", ["output.texts=false"], recipe)
    with pytest.raises(UserError, match="keeps no texts or extracts none; name two runs by --raw and --clean"):
        three_sides(without)
    assert ids_of(ShardsOf(without)) == ids_of(ShardsOf(run))
