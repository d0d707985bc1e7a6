"""explain: a document's life is what the ledger says and what its record gives when it is read again."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from command import gristmill
from crawl import Crawl, article, sentences
from ledger_runs import make_crawl, make_run

from pipelines.verbs.explain import explain
from pipelines.verbs.explain import lines as lines_of
from pipelines.verbs.life import _Again, _stage
from shards.errors import UserError
from shards.sink import ArrowSink, open_arrow
from shards.stage import StageConfig


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_crawl(tmp_path_factory.mktemp("crawl"))


@pytest.fixture(scope="module")
def run(crawl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("explain") / "run", crawl)


def told(run: Path, wanted: str) -> list[str]:
    return list(lines_of(explain(run, wanted), run, everything=True))


def words(lines: list[str], start: str) -> list[str]:
    """The words of the one line that begins with `start`."""
    (line,) = [line for line in lines if line.strip().startswith(start)]
    return line.split()


def test_a_kept_document_from_its_record_to_its_verdict(run: Path) -> None:
    lines = told(run, "https://long.example/3")
    assert lines[0] == "https://long.example/3"
    assert "web: a.warc.gz, offset" in lines[3]
    assert "fetched 2024-01-01T00:00:00Z" in lines[3]
    assert " ".join(words(lines, "body")) == "body response, HTTP 200, text/html, charset utf-8, 1,313 bytes"
    assert words(lines, "charset = ") == ["charset", "=", "utf-8"]
    assert words(lines, "too_few_words") == ["too_few_words", "word_count", "=", "234", "≥", "50", "passes"]
    assert words(lines, "verdict")[1] == "kept,"
    assert not any("FAILS" in line or "measured again" in line for line in lines)
    stages = [line.strip() for line in lines if line.startswith("  ") and not line.startswith("   ")]
    assert [s for s in stages if " " not in s] == ["page", "extract", "gopher_quality", "refinedweb_lines"]


def test_a_dropped_document_shows_the_value_beside_the_bound(run: Path) -> None:
    lines = told(run, "https://short.example/1")
    assert words(lines, "too_few_words")[-3:] == ["≥", "50", "FAILS"]
    assert words(lines, "verdict") == ["verdict", "dropped:", "gopher_quality.too_few_words"]


def test_the_short_form_is_verdict_failing_rules_edits_and_cluster(run: Path) -> None:
    def short(wanted: str) -> list[str]:
        return list(lines_of(explain(run, wanted), run))

    dropped = short("https://short.example/1")
    assert dropped[:2] == ["https://short.example/1", "  verdict   dropped: gopher_quality.too_few_words"]
    assert words(dropped, "fails") == ["fails", "gopher_quality.too_few_words", "word_count", "=", "29", "≥", "50"]
    assert len(dropped) == 4
    assert "--all" in dropped[-1]
    edited = short("https://button.example/")
    assert words(edited, "edited") == ["edited", "by", "refinedweb_lines"]
    assert "    -Subscribe" in edited
    assert any(line.startswith("  twin") for line in short("https://near.example/short"))
    assert any(line.startswith("  copy") for line in short("https://near.example/long"))


def test_the_text_is_there_when_it_is_asked_for(run: Path) -> None:
    """Of a kept document as the shard has it, of a dropped one as the stage that dropped it saw it."""
    (kept,) = explain(run, "https://button.example/", with_text=True).lives
    assert kept.text is not None
    assert "Subscribe" not in kept.text
    assert len(kept.text) == kept.characters
    dropped = explain(run, "https://short.example/1", with_text=True)
    assert (dropped.lives[0].text or "").splitlines() == list(lines_of(dropped, run))[-3:]
    assert explain(run, "https://button.example/").lives[0].text is None
    assert explain(run, "https://gone.example/", with_text=True).lives[0].text is None


def test_the_json_has_the_values_of_every_rule(run: Path) -> None:
    done = gristmill("explain", run, "https://short.example/1", "--json")
    (life,) = json.loads(done.stdout)["lives"]
    assert life["drop_reasons"] == ["gopher_quality.too_few_words"]
    (rule,) = [rule for stage in life["stages"] for rule in stage["rules"] if rule["fails"]]
    assert (rule["metric"], rule["value"], rule["min_kept"]) == ("gopher_quality.word_count", 29, 50)


def test_an_edit_is_shown_as_a_diff(run: Path) -> None:
    lines = told(run, "https://button.example/")
    at = lines.index("    --- before")
    assert lines[at + 1] == "    +++ after"
    assert "    -Subscribe" in lines[at:]
    assert words(lines, "lines_removed = ")[-1] == "2"


def test_a_page_that_was_refused_is_not_extracted(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_child(*_: object) -> None:
        raise AssertionError("extraction began")

    monkeypatch.setattr("cleaners.extract.ExtractionChild", no_child)
    lines = told(run, "https://gone.example/")
    assert "  extract: not measured" in lines
    assert "HTTP 404" in " ".join(words(lines, "body"))
    assert [words(lines, "verdict")[-1]] == ["page.bad_status"]
    assert sum("FAILS" in line for line in lines) == 1


def test_a_duplicate_names_its_twin_and_the_twin_its_duplicates(run: Path) -> None:
    twin = words(told(run, "https://near.example/short"), "twin")
    assert twin[2] == "https://near.example/long,"
    assert 0.75 <= float(twin[4]) < 1
    assert "representative of 1 other" in " ".join(words(told(run, "https://near.example/long"), "verdict"))
    by_id = told(run, twin[1].upper())
    assert by_id[0] == "https://near.example/long"


def test_a_chain_of_twins_is_told_from_both_ends(tmp_path: Path) -> None:
    """The short page leaves for the long one by its text, and that for a newer one by its address."""
    crawl = Crawl()
    crawl.page("https://a.example/short", article("Short", sentences(1)))
    crawl.page("https://b.example/", article("Long", [*sentences(1), *sentences(2)[:1]]))
    crawl.page("https://b.example/#new", article("New", sentences(3)), date="2025-01-01T00:00:00Z")
    run = make_run(tmp_path / "run", crawl.write(tmp_path / "crawl" / "a.warc.gz").parent)
    short = told(run, "https://a.example/short")
    assert "https://b.example/, itself dropped: dedup.url" in " ".join(words(short, "twin"))
    new = told(run, "https://b.example/#new")
    assert "representative of 2 others" in " ".join(words(new, "verdict"))
    copies = [line.split() for line in new if line.startswith("  copy")]
    assert [(copy[2].rstrip(","), copy[-1]) for copy in copies] == [
        ("https://a.example/short", "dedup.near"),
        ("https://b.example/", "dedup.url"),
    ]


def test_the_copies_of_a_large_group_are_some_and_a_number(tmp_path: Path) -> None:
    crawl = Crawl()
    for i in range(9):
        crawl.page(f"https://copy{i}.example/", article("Copy", sentences(1)))
    run = make_run(tmp_path / "run", crawl.write(tmp_path / "crawl" / "a.warc.gz").parent)
    (kept,) = [lines for i in range(9) if "kept, " in (lines := told(run, f"https://copy{i}.example/"))[1]]
    assert "representative of 8 others" in kept[1]
    copies = [line for line in kept if line.startswith("  copy")]
    assert len(copies) == 6
    assert copies[-1] == f"  copy      … 3 more: gristmill pairs {run}"


def test_passages_that_were_cut_are_shown(tmp_path: Path) -> None:
    crawl = Crawl()
    shared = " ".join(f"word{n}" for n in range(40))
    for i in (1, 2):
        crawl.page(
            f"https://page{i}.example/", article(f"Page {i}", [*sentences(i)[:6], shared, *sentences(i + 2)[:6]])
        )
    recipe = """
        source.web.kind = "warc"
        stage = [{ kind = "extract", engine = "resiliparse" }, { kind = "substring", length = 35 }]
    """
    run = make_run(tmp_path / "run", crawl.write(tmp_path / "crawl" / "a.warc.gz").parent, recipe=recipe)
    both = [told(run, f"https://page{i}.example/") for i in (1, 2)]
    (cut,) = [lines for lines in both if any(line.startswith("  substring: cut") for line in lines)]
    at = next(n for n, line in enumerate(cut) if line.startswith("  substring: cut"))
    assert cut[at].startswith("  substring: cut 1 passage of ")
    assert cut[at + 1].startswith("    - word0 word1 word2 ")
    assert cut[at + 1].endswith("…")


def test_all_records_of_an_address_are_shown(run: Path) -> None:
    lines = told(run, "https://twice.example/")
    assert lines.count("https://twice.example/") == 2
    offsets = {line.split("offset ")[1] for line in lines if line.startswith("  record")}
    assert len(offsets) == 2
    assert [line.split()[1] for line in lines if line.startswith("  verdict")] == ["kept,", "dropped:"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("https://www.long.example/33", r"of this host there are https://long\.example/3 .*https://long\.example/"),
        ("https://nowhere.example/", "there is none of the host nowhere.example"),
        ("123", "an id is 32 hex digits"),
        ("", "an id is 32 hex digits"),
    ],
)
def test_what_is_unknown_is_told_in_one_line(run: Path, wanted: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as unknown:
        told(run, wanted)
    assert "\n" not in str(unknown.value)
    with pytest.raises(UserError, match="no run of gristmill"):
        told(run / "ledger", wanted)


def test_without_the_crawl_the_ledger_answers(crawl: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(crawl, tmp_path / "crawl"))
    run = make_run(tmp_path / "run", moved)
    with_crawl = told(run, "https://button.example/")
    whole = (moved / "a.warc.gz").read_bytes()

    other = Crawl().page("https://other.example/", article("Other", sentences(7)), record_id="<urn:o>")
    other.write(moved / "a.warc.gz")
    changed = told(run, "https://long.example/0")
    assert "another record is there now; the file was changed" in " ".join(words(changed, "record    cannot"))
    (moved / "a.warc.gz").write_bytes(whole[:100])
    cut = told(run, "https://long.example/0")
    assert "cannot be read again" in " ".join(words(cut, "record    cannot"))
    shutil.rmtree(moved)
    lines = told(run, "https://button.example/")
    assert f"from the ledger and the text in {run}/texts/web-00000-000.arrow: " in " ".join(
        words(lines, "record    cannot")
    )
    assert "no such file or folder" in " ".join(words(lines, "record    cannot"))
    assert lines[lines.index("    --- before") :] == with_crawl[with_crawl.index("    --- before") :]
    assert not any("measured again" in line for line in lines)
    assert any("page.bad_status" in line for line in told(run, "https://gone.example/"))  # it never had a text

    shutil.rmtree(run / "texts")
    lines = told(run, "https://button.example/")
    assert "the rest is from the ledger: " in " ".join(words(lines, "record    cannot"))
    assert "    --- before" not in lines
    facts = with_crawl[: with_crawl.index("    --- before")]
    assert [line for line in lines if line[:4].isspace()] == [line for line in facts if line[:4].isspace()]
    assert lines[1] == with_crawl[1]


@pytest.mark.parametrize("wanted", ["long.example/3", "http://long.example/3", "https://long.example/3/"])
def test_an_address_is_found_but_for_scheme_and_final_slash(run: Path, wanted: str) -> None:
    lines = told(run, wanted)
    assert lines[0].startswith(f"{wanted}: no record of just this address")
    assert lines[1:] == told(run, "https://long.example/3")
    with pytest.raises(UserError, match=r"of this host there are https://long\.example/3"):
        told(run, "long.example/33")


@pytest.mark.usefixtures("language_model")
def test_a_stage_for_other_languages_is_told_as_such(crawl: Path, tmp_path: Path) -> None:
    recipe = """
        source.web.kind = "warc"
        stage = [
            { kind = "extract", engine = "resiliparse" },
            { kind = "language", languages = [], min_score = 0.0 },
            { kind = "refinedweb_lines", only_languages = ["zh", "ja"] },
            { kind = "pii", only_languages = ["en"] },
        ]
    """
    run = make_run(tmp_path / "run", crawl, recipe=recipe)
    lines = told(run, "https://button.example/")
    assert "  refinedweb_lines: only for zh, ja, and this document is in en" in lines
    assert "  pii" in lines
    assert "    --- before" not in lines


def test_the_weight_of_a_group_is_told_from_the_ledger(crawl: Path, tmp_path: Path) -> None:
    recipe = """
        source.web.kind = "warc"
        stage = [{ kind = "extract", engine = "resiliparse" }, { kind = "exact" }, { kind = "rehydrate" }]
    """
    run = make_run(tmp_path / "run", crawl, recipe=recipe)
    assert "weight" in " ".join(told(run, "https://button.example/"))


class _Cut(StageConfig):
    def columns(self) -> pa.Schema:
        return pa.schema([("cut.lines", pa.int64()), ("cut.cut_spans", pa.list_(pa.int64()))])


def test_places_of_edits_are_shown_as_the_diff() -> None:
    facts = {"cut.lines": 1, "cut.cut_spans": [4, 9]}
    found = _stage(_Cut(name="cut"), facts, _Again(texts={"cut": ("one\ntwo", "one")}))
    assert found.values == {"cut.lines": 1}
    assert "-two" in found.edits


def test_a_value_that_is_measured_otherwise_now_is_told(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    path = copy / "ledger" / "web-00000-000.arrow"
    table = open_arrow(path).read_all()
    at = table.schema.get_field_index("gopher_quality.word_count")
    table = table.set_column(at, table.schema.field(at), pa.array([7] * table.num_rows))
    with ArrowSink(path, table.schema) as sink:
        for batch in table.combine_chunks().to_batches():
            sink.write(batch)
    line = " ".join(words(told(copy, "https://long.example/3"), "too_few_words"))
    assert line.endswith("word_count = 7 ≥ 50 FAILS (measured again: 234)")


def test_sources_that_are_no_crawl_are_read_again_too(run: Path, tmp_path: Path) -> None:
    recipe = """
        source.web.kind = "shards"
        stage = [{ kind = "gopher_quality", min_words = 100 }, { kind = "refinedweb_lines" }]
    """
    second = make_run(tmp_path / "second", run / "shards", recipe=recipe)
    lines = told(second, "https://short.example/3")
    assert not any("cannot be read" in line for line in lines)
    assert words(lines, "verdict")[-1] == "gopher_quality.too_few_words"


def test_control_characters_of_an_address_do_not_reach_the_terminal(tmp_path: Path) -> None:
    url = "https://evil.example/\x1b]0;owned\x07"
    crawl = Crawl().page(url, article("Evil", sentences(3))).write(tmp_path / "crawl" / "a.warc.gz").parent
    run = make_run(tmp_path / "run", crawl)
    (written,) = open_arrow(run / "ledger" / "web-00000-000.arrow").read_all()["url"].to_pylist()
    lines = told(run, written)
    assert not any("\x1b" in line or "\x07" in line for line in lines)


def test_a_crawl_file_that_is_gone_is_named_and_the_others_are_found(tmp_path: Path) -> None:
    for name in ("a", "b"):
        crawl = Crawl()
        crawl.page(f"https://{name}.example/", article(f"Page {name}", sentences(1)))
        crawl.write(tmp_path / "crawl" / f"{name}.warc.gz")
    run = make_run(tmp_path / "run", tmp_path / "crawl")
    (tmp_path / "crawl" / "a.warc.gz").unlink()
    assert any("a.warc.gz: is no longer where" in line for line in told(run, "https://a.example/"))
    assert not any("cannot be read" in line for line in told(run, "https://b.example/"))
