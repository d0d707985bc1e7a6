"""pairs: every verified pair of a run once, each removed document beside its twin, in any format."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ledger_runs import make_crawl, make_run

import pipelines.verbs.pairs
from pipelines.verbs.pairs import PAIRS, pairs, print_pairs, write_pairs
from shards.errors import UserError
from shards.sink import ArrowSink, open_arrow, read_batches, read_table


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    return make_run(folder / "run", make_crawl(folder / "crawl"), ["near.threshold=0.9"])  # at which a ~ b ~ c, a ≁ c


def rows_of(run: Path, **options: Any) -> list[dict[str, Any]]:
    return [row for batch in pairs(run, **options) for row in batch.to_pylist()]


def ledger_of(run: Path) -> list[dict[str, Any]]:
    return [row for path in sorted((run / "ledger").glob("*.arrow")) for row in open_arrow(path).read_all().to_pylist()]


def test_every_removed_document_stands_beside_its_twin(run: Path) -> None:
    found = {(row["id_a"], row["id_b"]): row for row in rows_of(run)}
    removed = [row for row in ledger_of(run) if row["twin"] is not None]
    assert {row["drop_reasons"][0] for row in removed} == {
        "dedup.same_record", "dedup.exact", "dedup.near", "dedup.url",
    }  # fmt: skip
    for row in removed:
        pair = found[row["twin"], row["id"]]
        assert pair["similarity"] == row["similarity"]
        assert pair["url_b"] == row["url"]
        if row["drop_reasons"] != ["dedup.same_record"]:  # of one record twice, the id is that of the first
            assert pair["fate_b"] == row["drop_reasons"][0]
        assert pair["fate_a"] == "kept"


def test_every_edge_is_there_once_and_the_chain_has_two(run: Path) -> None:
    found = rows_of(run, stage="near")
    edges = read_table(run / "dedup" / "near" / "edges.arrow").to_pylist()
    assert [{k: row[k] for k in edges[0]} for row in found] == edges
    chain = [(row["url_a"][-1], row["url_b"][-1]) for row in found if "chain" in row["url_a"]]
    assert sorted(chain) == [("a", "b"), ("b", "c")]
    fates = {row["url_b"][-1]: (row["fate_a"], row["fate_b"]) for row in found if "chain" in row["url_a"]}
    assert fates == {"b": ("kept", "dedup.near"), "c": ("dedup.near", "kept")}


def test_pairs_are_the_same_for_any_part_size(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rows_of(run)

    def one_by_one(path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
        for batch in read_batches(path, columns):
            yield from (batch.slice(i, 1) for i in range(batch.num_rows))

    monkeypatch.setattr(pipelines.verbs.pairs, "_AT_ONCE", 2)
    monkeypatch.setattr(pipelines.verbs.pairs, "read_batches", one_by_one)
    assert rows_of(run) == whole
    assert len(list(pairs(run))) > 4


def test_a_pair_of_the_ledger_that_is_no_edge_is_written_too(run: Path, tmp_path: Path) -> None:
    """As with transitive clusters, where a twin need not be a neighbour."""
    from shutil import copytree

    from dedup.minhash import EDGES
    from shards.sink import ArrowSink

    copy = Path(copytree(run, tmp_path / "copy"))
    path = copy / "dedup" / "near" / "edges.arrow"
    edges = read_table(path)
    with ArrowSink(path, EDGES) as sink:
        for batch in edges.slice(1).to_batches():
            sink.write(batch)
    pair = lambda row: (row["id_a"], row["id_b"])  # noqa: E731
    removed = {(row["twin"], row["id"]) for row in ledger_of(run) if row["drop_reasons"] == ["dedup.near"]}
    assert removed <= {*map(pair, rows_of(copy, stage="near"))}


def test_less_similar_pairs_are_left_out(run: Path) -> None:
    near = [row["similarity"] for row in rows_of(run, stage="near")]
    bound = sorted(near)[1]
    assert [row["similarity"] for row in rows_of(run, stage="near", min_similarity=bound)] == [
        s for s in near if s >= bound
    ]
    assert {row["stage"] for row in rows_of(run, min_similarity=1.0)} == {"same_record", "exact", "url_dedup"}


def test_all_formats_hold_the_same(run: Path, tmp_path: Path) -> None:
    whole = rows_of(run)
    assert all(write_pairs(run, tmp_path / f"p.{kind}") == len(whole) for kind in ("jsonl", "csv", "parquet", "arrow"))
    assert [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()] == whole
    printed = io.StringIO()
    print_pairs(run, printed)
    assert printed.getvalue() == (tmp_path / "p.jsonl").read_text()
    with (tmp_path / "p.csv").open(newline="") as file:
        read = [row | {"similarity": float(row["similarity"])} for row in csv.DictReader(file)]
    assert read == whole
    assert pq.read_table(tmp_path / "p.parquet").to_pylist() == whole
    assert read_table(tmp_path / "p.arrow").schema == PAIRS
    assert read_table(tmp_path / "p.arrow").to_pylist() == whole


def test_a_failure_leaves_no_file(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> pa.RecordBatch:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipelines.verbs.pairs, "_described", fail)
    for kind in ("jsonl", "csv", "parquet", "arrow"):
        with pytest.raises(KeyboardInterrupt):
            write_pairs(run, tmp_path / f"p.{kind}")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_is_refused_in_one_line(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"pairs\.xml: unknown format; name it \*\.jsonl, "):
        write_pairs(run, tmp_path / "pairs.xml")
    with pytest.raises(UserError, match="--stage far: removes no duplicates here; stages that do are same_record, "):
        pairs(run, stage="far")
    with pytest.raises(UserError, match="no run of gristmill"):
        pairs(tmp_path)


def test_pairs_of_ids_that_share_their_first_digits_are_told_apart(tmp_path: Path) -> None:
    schema = pa.schema([PAIRS.field(name) for name in ("id_a", "id_b", "similarity")])
    a, b, c = (f"{number:032x}" for number in (1, 2, 3))
    rows = [{"id_a": a, "id_b": c, "similarity": 1.0}, {"id_a": b, "id_b": c, "similarity": 1.0}]
    with ArrowSink(tmp_path / "edges.arrow", schema) as sink:
        sink.write(pa.RecordBatch.from_pylist(rows[:1], schema))
    found = pipelines.verbs.pairs._without(pa.Table.from_pylist(rows, schema), tmp_path / "edges.arrow")
    assert found.to_pylist() == rows[1:]
