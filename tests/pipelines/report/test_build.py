"""The report of a real small run: its numbers are the manifests', and the file depends on the run alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from report_run import pages

from pipelines.report.build import _setting, summary, write_report, write_report_json
from pipelines.report.model import to_json
from shards.errors import UserError
from shards.manifest import read_manifest
from shards.stats import Stats


def manifest_stats(run: Path) -> Stats:
    return Stats.sum(Stats.from_json(read_manifest(p).stats) for p in (run / "shards").glob("*/*.json"))


def test_each_document_of_the_input_is_kept_or_dropped_once(found: dict[str, Any]) -> None:
    documents = found["documents"]
    assert documents["input"] == len(pages())
    assert documents["input"] == documents["kept"] + sum(found["dropped"].values())
    assert documents["kept"] > 0
    assert {"page.not_html", "gopher_quality.too_few_words", "dedup.exact"} <= found["dropped"].keys()
    assert found["records"] == {"warcinfo": 1}


def test_funnel_is_what_the_manifests_counted(run: Path, found: dict[str, Any]) -> None:
    stats = manifest_stats(run)
    assert [row["stage"] for row in found["funnel"]] == [
        "url", "page", "extract", "gopher_repetition", "gopher_quality", "same_record", "exact", "near",
        "url_dedup",
    ]  # fmt: skip
    for row in found["funnel"]:
        for amount in ("documents", "characters", "bytes"):
            assert (row[amount] or 0) == stats[f"funnel/{row['stage']}/{amount}"]
    assert [row["characters"] is None for row in found["funnel"][:3]] == [True, True, False]
    assert found["funnel"][-1]["documents"] == found["documents"]["kept"]


def test_the_ledger_gives_the_same_failures_as_the_manifests(found: dict[str, Any]) -> None:
    assert {row["reason"]: row["failed"] for row in found["rules"] if row["failed"]} == found["failed"]
    assert all(row["alone"] <= row["failed"] for row in found["rules"])
    assert sum(row["dropped"] for row in found["rules"]) == sum(found["dropped"].values())


def test_every_histogram_holds_every_measured_document(found: dict[str, Any]) -> None:
    drawn = [metric for metric in found["metrics"].values() if metric["histogram"]]
    assert len(drawn) > 15
    for metric in drawn:
        bins = metric["histogram"]
        assert sum(bins["kept"]) == metric["kept"]
        assert sum(bins["failing"]) == metric["failed"]
        assert sum(bins["kept"] + bins["other"] + bins["failing"]) == metric["measured"]


def test_report_json_is_the_summary_and_holds_neither_time_nor_path(run: Path, found: dict[str, Any]) -> None:
    sums = json.loads(to_json(summary(run)))
    assert {key: found[key] for key in sums} == sums
    before = (run / "report.json").read_bytes()
    assert str(run).encode() not in before
    assert str(run.parent).encode() not in before
    assert not {"seconds", "date", "time"} & found.keys()
    write_report_json(run)
    assert (run / "report.json").read_bytes() == before


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run of gristmill"):
        write_report(tmp_path)


def test_a_run_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"digest": "d", "version": "1", "library": {}, "input": {}}')
    with pytest.raises(UserError, match="not finished"):
        write_report(tmp_path)


def test_a_score_for_each_language_is_shown_as_pairs() -> None:
    assert _setting({"ru": 0.9, "zh": 0.69}) == "ru 0.9 zh 0.69"
