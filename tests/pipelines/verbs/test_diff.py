"""diff: who changed their fate between two runs, by which values, and who is in one only."""

import json
from pathlib import Path

import pytest
from command import gristmill
from crawl import Crawl, article, sentences
from ledger_runs import make_crawl, make_run, report_of

from pipelines.verbs.diff import compare, lines
from shards.errors import UserError


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_crawl(tmp_path_factory.mktemp("crawl"))


@pytest.fixture(scope="module")
def run(crawl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("compare") / "run", crawl)


@pytest.fixture(scope="module")
def stricter(crawl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The longer of the near pair goes, so the shorter one comes back; two short pages go too."""
    settings = ["gopher_quality.min_words=100", "gopher_quality.max_words=250"]
    return make_run(tmp_path_factory.mktemp("compare") / "stricter", crawl, settings)


def test_a_run_compared_with_itself_has_no_change(run: Path) -> None:
    found = compare(run, run)
    # The record that the crawl holds twice is one document.
    assert found.both == report_of(run)["documents"]["input"] - 1
    assert (found.settings, found.changes, found.only_a, found.only_b) == ((), (), {}, {})


def test_changes_are_counted_by_their_reasons_before_and_after(run: Path, stricter: Path) -> None:
    found = compare(run, stricter)
    assert found.settings == (("gopher_quality.min_words", 50, 100), ("gopher_quality.max_words", 100_000, 250))
    counts = {(change.before, change.after): change.documents for change in found.changes}
    assert counts == {
        ("kept", "gopher_quality.too_few_words"): 2,
        ("kept", "gopher_quality.too_many_words"): 3,
        ("dedup.near", "gopher_quality.too_many_words"): 2,
        ("dedup.near", "kept"): 1,
        ("dedup.url", "kept"): 1,
    }
    kept = [report_of(r)["documents"]["kept"] for r in (run, stricter)]
    gained = sum(n for (_, after), n in counts.items() if after == "kept")
    lost = sum(n for (before, _), n in counts.items() if before == "kept")
    assert kept[1] - kept[0] == gained - lost
    assert [change.documents for change in found.changes] == sorted(counts.values(), reverse=True)


def test_examples_bring_address_and_the_values_that_decided(run: Path, stricter: Path) -> None:
    changes = {(change.before, change.after): change.examples for change in compare(run, stricter, examples=1).changes}
    (short,) = changes["kept", "gopher_quality.too_few_words"]
    assert (short.url, short.values) == ("https://short.example/2", (("gopher_quality.word_count", 56, 56),))
    (near,) = changes["dedup.near", "kept"]
    assert near.url == "https://near.example/short"
    ((name, before, after),) = near.values
    assert (name, len(before), after) == ("twin", 32, None)


def test_the_other_way_round_is_the_mirror_image(run: Path, stricter: Path) -> None:
    there, back = compare(run, stricter), compare(stricter, run)
    assert {(c.before, c.after, c.documents) for c in there.changes} == {
        (c.after, c.before, c.documents) for c in back.changes
    }


def test_documents_of_one_run_only_are_counted_by_their_fate(run: Path, crawl: Path, tmp_path: Path) -> None:
    half = make_run(tmp_path / "half", crawl / "a.warc.gz")
    found = compare(run, half)
    assert found.both == report_of(half)["documents"]["input"]
    assert found.only_b == {}
    assert sum(found.only_a.values()) == report_of(run)["documents"]["input"] - 1 - found.both
    assert found.only_a == {"kept": 5, "dedup.near": 2}
    assert f"7 documents only in {run}; 5 kept; 2 dedup.near" in list(lines(found))


def test_runs_of_other_records_share_nothing_and_say_so(run: Path, tmp_path: Path) -> None:
    other = Crawl().page("https://x.example/", article("X", sentences(1)), record_id="<urn:x>")
    folder = other.write(tmp_path / "crawl" / "x.warc.gz").parent
    told = list(lines(compare(run, make_run(tmp_path / "other", folder))))
    assert "no document is in both: these runs did not read the same records" in told


def test_a_folder_that_is_no_run_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run of gristmill"):
        compare(run, tmp_path)


def test_the_page_of_text_names_totals_then_changes_then_settings(run: Path, stricter: Path) -> None:
    found = compare(run, stricter, examples=1)
    told = list(lines(found))
    assert told[0] == f"kept: 18 in {run}, 15 in {stricter} (-3)"
    assert told[1].endswith("9 with another fate: 2 gained, 5 lost, 2 dropped for another reason")
    at = next(i for i, line in enumerate(told) if line.endswith("kept -> gopher_quality.too_few_words"))
    assert told[at].split()[0] == "2"
    assert told[at + 1].endswith("https://short.example/2  word_count 56")
    settings = ["gopher_quality.min_words 50 -> 100", "gopher_quality.max_words 100000 -> 250"]
    assert told[-1] == f"2 settings changed: {', '.join(settings)}"
    assert list(lines(found, all_settings=True))[-2:] == settings


def test_the_json_has_the_same_numbers(run: Path, stricter: Path) -> None:
    found = json.loads(gristmill("diff", run, stricter, "--json").stdout)
    assert (found["a"], found["b"]) == (str(run), str(stricter))
    assert found["kept_b"] - found["kept_a"] == -3
    assert {(c["before"], c["after"]): c["documents"] for c in found["changes"]}["dedup.near", "kept"] == 1
