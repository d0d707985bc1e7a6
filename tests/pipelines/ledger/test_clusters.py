"""Clusters of duplicates, losses and alarms against plain Python, and in the report of a small run."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_runs import make_crawl, make_run, report_of
from xxhash import xxh3_128_hexdigest

import pipelines.ledger.clusters
from pipelines.ledger.clusters import ABSENT, Clusters, cluster_reasons
from pipelines.recipe import parse_recipe
from pipelines.report import last_lines
from pipelines.report.build import alarm_lines, write_report
from pipelines.run.folder import RunFolder
from shards.atomic import write_json
from shards.errors import UserError
from shards.sink import ArrowSink, open_arrow

STAGES = ("dedup.exact", "dedup.near", "dedup.url")
LEDGER = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("url", pa.string()),
        pa.field("source", pa.string()),
        pa.field("drop_reasons", pa.list_(pa.string())),
        pa.field("twin", pa.string()),
        pa.field("similarity", pa.float64()),
        pa.field("text_chars", pa.int64()),
    ]
)
END = len(STAGES)  # of rows that every stage kept
Rows = list[tuple[int, int]]  # (stage at which a row leaves, a number that chooses its twin)


@st.composite
def documents(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows whose twins passed the stage; some of those that pass all leave by a rule, some twins are not there."""
    counts = draw(st.booleans())
    drawn: Rows = draw(st.lists(st.tuples(st.integers(0, END + 1), st.integers(0, 30)), max_size=25))
    rows: list[dict[str, Any]] = []
    for number, (stage, choice) in enumerate(drawn):
        passed = [n for n, (other, _) in enumerate(drawn) if other > stage]
        reason = [STAGES[stage]] if stage < END else ["late.rule"] if stage > END else []
        twin = None
        if stage < END:
            twin = passed[choice % len(passed)] if passed and choice else 1000 + choice % 2
        rows.append(
            {
                "id": name(number, counts=counts),
                "url": f"http://h{number}.example/",
                "source": "web",
                "drop_reasons": reason,
                "twin": None if twin is None else name(twin, counts=counts),
                "similarity": None if twin is None else 0.9,
                "text_chars": 10 + number,
            }
        )
    return rows


def name(number: int, *, counts: bool = False) -> str:
    """The id of a row: a hash, or a number whose first 16 digits are those of all."""
    return f"{number + (1 << 120):032x}" if counts else xxh3_128_hexdigest(str(number).encode())


def clusters_of(folder: Path, rows: list[dict[str, Any]], per_file: int = 7) -> Clusters:
    (folder / "ledger").mkdir(exist_ok=True)
    write_json(
        folder / "run.json", {"digest": "", "version": "", "library": {}, "input": {"web/00000/a.warc": [1, ""]}}
    )
    for old in (folder / "ledger").glob("*"):
        old.unlink()
    clusters = Clusters(STAGES)
    for first in range(0, max(1, len(rows)), per_file):
        batch = pa.RecordBatch.from_pylist(rows[first : first + per_file], LEDGER)
        with ArrowSink(folder / "ledger" / f"web-{first:05d}-000.arrow", LEDGER) as sink:
            sink.write(batch)
        clusters.add(batch)
    clusters.close(RunFolder(folder))
    return clusters


def end_of_chain(row: dict[str, Any], by_id: dict[str, dict[str, Any]]) -> str:
    while row["twin"] is not None:
        if row["twin"] not in by_id:
            return str(row["twin"])
        row = by_id[row["twin"]]
    return str(row["id"])


@settings(max_examples=60, deadline=None)
@given(rows=documents(), pending=st.sampled_from([0, 3, 1000]))
def test_a_cluster_is_every_document_whose_chain_of_twins_ends_there(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], pending: int
) -> None:
    folder = tmp_path_factory.getbasetemp() / "clusters"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipelines.ledger.clusters, "_PENDING", pending)
        clusters = clusters_of(folder, rows)
    by_id = {row["id"]: row for row in rows}
    removed = [row for row in rows if row["twin"] is not None]
    ends = Counter(end_of_chain(row, by_id) for row in removed)
    found = {cluster.id: cluster for cluster in clusters.all()}
    assert {id: cluster.size - 1 for id, cluster in found.items()} == ends
    assert len(clusters) == len(ends)
    for id, cluster in found.items():
        head = by_id.get(id)
        fate = ABSENT if head is None else (head["drop_reasons"] or ["kept"])[0]
        assert (cluster.fate, cluster.documents) == (fate, ends[id] + (head is not None))
        members = [row for row in removed if end_of_chain(row, by_id) == id] + ([head] if head else [])
        assert cluster.chars == sum(row["text_chars"] for row in members)
    assert clusters.above(2) == sum(size + 1 > 2 for size in ends.values())
    ranked = sorted(ends, key=lambda id: (-ends[id], id))
    shown = clusters.show(RunFolder(folder), clusters.largest(3))
    assert [s.cluster.id for s in shown] == ranked[:3]
    for s in shown:
        of_cluster = sorted(row["id"] for row in removed if end_of_chain(row, by_id) == s.cluster.id)
        assert [member.id for member in s.members] == of_cluster[:5]
        assert s.url == (by_id[s.cluster.id]["url"] if s.cluster.id in by_id else "")


@settings(max_examples=40, deadline=None)
@given(rows=documents())
def test_sizes_hold_every_document_that_is_left_or_left_for_one(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "sizes"
    folder.mkdir(exist_ok=True)
    clusters = clusters_of(folder, rows)
    for stage, reason in enumerate(STAGES):
        removed = [row for row in rows if row["drop_reasons"] == [reason]]
        passed = [row for row in rows if row["twin"] is None or STAGES.index(row["drop_reasons"][0]) > stage]
        table = clusters.sizes(reason, len(passed), sum(row["text_chars"] for row in passed))
        sizes = Counter(Counter(row["twin"] for row in removed).values())
        assert [row.clusters for row in table[1:3]] == [sizes[1], sizes[2]]
        assert sum(row.documents for row in table) == len(passed) + len(removed)
        assert sum(row.chars for row in table) == sum(row["text_chars"] for row in passed + removed)


def test_records_given_twice_and_passages_make_no_clusters() -> None:
    stages: list[dict[str, Any]] = [{"kind": "exact"}, {"kind": "substring"}, {"kind": "exact", "name": "again"}]
    stages = [{"kind": "extract"}, *stages]
    recipe = parse_recipe({"source": {"web": {"kind": "warc"}}, "stage": stages}, "r.toml")
    assert cluster_reasons(recipe) == ("dedup.exact",)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clusters")
    limits = ["alarms.max_group=1", "alarms.min_source_documents=2", "alarms.max_source_lost_fraction=0.1"]
    return make_run(folder / "run", make_crawl(folder / "crawl"), limits)


def test_the_report_tells_sizes_largest_groups_and_losses(run: Path) -> None:
    found = report_of(run)["duplicates"]
    ledger = [row for p in (run / "ledger").glob("*.arrow") for row in open_arrow(p).read_all().to_pylist()]
    left = [row for row in ledger if row["twin"] and row["drop_reasons"] != ["dedup.same_record"]]
    kept = [row for row in ledger if not row["drop_reasons"]]
    assert sum(row["documents"] for row in found["sizes"]) == len(left) + len(kept)
    assert sum(row["characters"] for row in found["sizes"]) == sum(row["text_chars"] for row in left + kept)
    assert found["groups"] == len({row["twin"] for row in left})
    for group in found["largest"]:
        assert group["removed"] == sum(row["twin"] == group["twin"] for row in left)
        assert {member["reason"] for member in group["members"]} < {"dedup.exact", "dedup.near", "dedup.url"}
    (source,) = found["sources"]
    removed = [row for row in ledger if row["twin"]]
    assert source["lost_documents"] == len(removed)
    assert source["lost_characters"] == sum(row["text_chars"] for row in removed)
    assert source["share_of_characters_before"] == source["share_of_characters_after"] == 1
    domains = {row["domain"]: row["lost_documents"] for row in found["domains"]}
    assert domains["exact.example"] == domains["near.example"] == domains["twice.example"] == 1
    assert domains["long.example"] == 0


def test_alarms_are_in_the_report_on_the_page_and_in_the_last_lines(run: Path) -> None:
    told = report_of(run)["alarms"]
    assert {entry["alarm"] for entry in told} == {"group", "source", "domain"}
    assert not any(str(run) in entry["text"] for entry in told)
    page = write_report(run).read_text()
    assert f"{len(told)} alarms: look before using the shards</h2>" in page
    assert told[0]["text"].partition(";")[0] in page
    assert "Largest clusters" in page
    assert "The mixture before and after" in page
    assert all(line.startswith("alarm: ") and f"RUN {run}" not in line for line in alarm_lines(run))
    assert any(f"gristmill explain {run} " in line for line in alarm_lines(run))


def test_a_run_ends_with_a_line_for_each_alarm(run: Path) -> None:
    told = [line for line in last_lines.lines(run) if isinstance(line, str) and line.startswith("alarm: ")]
    assert told == alarm_lines(run)
    assert len(told) == len(report_of(run)["alarms"]) > 3


def test_alarm_limits_are_settings_that_change_no_shard(run: Path, tmp_path: Path) -> None:
    again = make_run(tmp_path / "again", run.parent / "crawl")
    assert (
        json.loads((again / "run.json").read_bytes())["digest"] == json.loads((run / "run.json").read_bytes())["digest"]
    )
    assert report_of(again)["alarms"] == []
    with pytest.raises(UserError, match=r"alarms\.max_group"):
        make_run(tmp_path / "bad", run.parent / "crawl", ["alarms.max_group=0"])
