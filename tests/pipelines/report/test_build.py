"""The report of a real small run: its numbers are the manifests', and its page holds them safely."""

import json
import random
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from crawl import Crawl
from hypothesis import given
from hypothesis import strategies as st

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.ledger.sketch import Outcome, Sketch, TopCounter
from pipelines.report.build import _setting, summary, write_report, write_report_json
from pipelines.report.histogram import histogram
from pipelines.report.published import gap_parts
from pipelines.report.samples import visible
from pipelines.run.opening import open_run
from shards.errors import UserError
from shards.manifest import read_manifest
from shards.stage import Rule
from shards.stats import Stats

RECIPE = """
name = "refinedweb"
about = "A small one."
[source.web]
kind = "warc"
paths = ["{warc}"]
[[stage]]
kind = "url"
[[stage]]
kind = "page"
[[stage]]
kind = "extract"
engine = "resiliparse"
[[stage]]
kind = "gopher_repetition"
[[stage]]
kind = "gopher_quality"
[[stage]]
kind = "exact"
[[stage]]
kind = "minhash"
name = "near"
bands = 20
rows = 5
[[stage]]
kind = "url_dedup"
"""
WORDS = (
    "the river mill bridge people used years spring meadow green children play kites colour baker opens shop at six "
    "bread to be eaten warm nobody remembers who built tower every village tells a story of it when snow melts path "
    "and pass walkers have with good map find shepherds meet noon that boat lantern market garden winter song window"
).split()
NASTY = '<script>alert("x")</script> & "quotes" \x01\x02 \u202eevil\u202c'


def prose(number: int) -> str:
    """Ten lines of words in random order: no two documents are alike."""
    order = random.Random(number)
    lines = (" ".join(order.choices(WORDS, k=14)) for _ in range(10))
    return "".join(f"<p>{line} {n}.</p>" for n, line in enumerate(lines))


def page(text: str) -> bytes:
    return f"<html><head><title>t</title></head><body><main>{text}</main></body></html>".encode()


def pages() -> list[tuple[str, bytes, str]]:
    """(URL, body, media type)."""
    found = [(f"https://site{n % 5}.example/page/{n}?a=1&b=2", page(prose(n)), "text/html") for n in range(24)]
    found += [(f"https://copy.example/{n}", page(prose(3)), "text/html") for n in range(3)]
    found += [
        (f"https://www.short.example/{n}", page(f"<p>Too short {n}. {escaped(NASTY)}</p>"), "text/html")
        for n in range(12)
    ]
    found += [("https://rtl.example/", page("<p>" + "مرحبا بالعالم " * 4 + "</p>"), "text/html")]
    found += [("https://data.example/a.pdf", b"%PDF-1.4", "application/pdf")]
    found += [("javascript:alert(1)", b"%PDF-1.5", "application/pdf")]
    return found


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def write_warc(path: Path) -> None:
    crawl = Crawl().other("warcinfo")
    for url, body, kind in pages():
        crawl.page(url, body, content_type=f"{kind}; charset=utf-8")
    crawl.write(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_warc(folder / "small.warc.gz")
    (folder / "small.toml").write_text(RECIPE.format(warc=folder / "small.warc.gz"))
    opened = open_run(load_recipe(str(folder / "small.toml")), folder / "run")
    execute(opened, InProcess(), lambda _: None)
    write_report(folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def found(run: Path) -> dict:
    return json.loads((run / "report.json").read_bytes())


@pytest.fixture(scope="module")
def html(run: Path) -> str:
    return (run / "report.html").read_text(encoding="utf-8")


def manifest_stats(run: Path) -> Stats:
    return Stats.sum(Stats.from_json(read_manifest(p).stats) for p in (run / "shards").glob("*/*.json"))


def test_input_is_kept_and_dropped_each_document_once(found):
    documents = found["documents"]
    assert documents["input"] == len(pages())
    assert documents["input"] == documents["kept"] + sum(found["dropped"].values())
    assert documents["kept"] > 0
    assert {"page.not_html", "gopher_quality.too_few_words", "dedup.exact"} <= found["dropped"].keys()
    assert found["records"] == {"warcinfo": 1}


def test_funnel_is_what_the_manifests_counted(run, found):
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


def test_the_ledger_gives_the_same_failures_as_the_manifests(found):
    assert {row["reason"]: row["failed"] for row in found["rules"] if row["failed"]} == found["failed"]
    assert all(row["alone"] <= row["failed"] for row in found["rules"])
    assert sum(row["dropped"] for row in found["rules"]) == sum(found["dropped"].values())


def test_every_histogram_holds_every_measured_document(found):
    drawn = [metric for metric in found["metrics"].values() if metric["histogram"]]
    assert len(drawn) > 15
    for metric in drawn:
        bins = metric["histogram"]
        assert sum(bins["kept"]) == metric["kept"]
        assert sum(bins["failing"]) == metric["failed"]
        assert sum(bins["kept"] + bins["other"] + bins["failing"]) == metric["measured"]


def test_report_json_is_the_summary_and_holds_neither_time_nor_path(run, found):
    assert {key: found[key] for key in summary(run)} == json.loads(json.dumps(summary(run)))
    before = (run / "report.json").read_bytes()
    assert str(run).encode() not in before
    assert str(run.parent).encode() not in before
    assert not {"seconds", "date", "time"} & found.keys()
    write_report_json(run)
    assert (run / "report.json").read_bytes() == before


class Page(HTMLParser):
    """Checks that elements nest, and collects attributes and texts."""

    VOID = frozenset({"meta", "br", "hr", "link", "img", "input"})
    SELF_CLOSED = frozenset({"rect", "line", "path"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in self.SELF_CLOSED
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def parsed(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    return page


def test_page_is_well_formed(parsed):
    assert parsed.open == []


def test_page_asks_for_nothing_outside_and_runs_no_script(parsed, html):
    names = {tag for tag, _ in parsed.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "video", "audio"}
    for tag, attributes in parsed.tags:
        assert "src" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        href = attributes.get("href")
        if href is not None:
            assert tag == "a"
            assert href.startswith("#") or ("noreferrer" in attributes["rel"] and href.startswith("https://"))
    assert "url(" not in html
    assert "@import" not in html
    assert any(a.get("content", "").startswith("default-src 'none'") for tag, a in parsed.tags if tag == "meta")


def test_anchors_of_the_page_lead_somewhere(parsed):
    ids = {attributes["id"] for _, attributes in parsed.tags if "id" in attributes}
    links = {a["href"][1:] for tag, a in parsed.tags if tag == "a" and a["href"].startswith("#")}
    assert links
    assert links <= ids


def test_samples_are_escaped_and_control_characters_are_shown(html):
    assert "&lt;script&gt;alert(" in html
    assert "<script" not in html
    assert not [c for c in html if ord(c) < 32 and c not in "\n\t"]
    assert visible("a\0b\x1f\x85\n") == "a␀b␟\ufffd\n"


def test_text_of_any_direction_is_isolated(html):
    assert "مرحبا" in html
    assert 'class="text" dir="auto"' in html
    assert "javascript:alert(1)" in html  # as text
    assert 'href="javascript' not in html


def test_ten_samples_are_shown_for_the_kept_and_for_a_rule(html):
    kept, dropped = html.split('id="dropped"')
    assert kept.count('<details class="sample">') == 10
    part = dropped.split("gopher_quality.too_few_words<")[1].split('<details class="rule">')[0]
    assert part.count('<details class="sample">') == 10
    assert "least 50" in part


def test_thresholds_are_drawn_and_labelled(html):
    for label in ("min 50", "max 100,000", "min 3", "max 10", "max 0.15", "min 0.8", "max 200,000"):
        assert f">{label}</text>" in html


def test_a_gap_above_five_points_has_its_reasons(found, html):
    steps = {row["step"]: row for row in found["published"]["steps"]}
    assert list(steps) == ["URL filter", "extraction", "MinHash", "substring and URL dedup"]
    for row in steps.values():
        assert bool(row["reasons"]) == (abs(row["gap"]) > 5)
        assert sum(row["parts"].values()) == pytest.approx(row["gap"], abs=0.05)
    last = steps["substring and URL dedup"]
    assert last["gap"] > 5
    assert "Exact substring deduplication is not part of this recipe" in " ".join(last["reasons"])
    assert last["reasons"][0] in html


def test_another_recipe_is_not_compared(run, tmp_path):
    recipe = load_recipe(str(run / "recipe.toml"))
    (tmp_path / "other.toml").write_text(recipe.to_toml().replace('name = "refinedweb"', 'name = "mine"'))
    opened = open_run(load_recipe(str(tmp_path / "other.toml")), tmp_path / "run")
    execute(opened, InProcess(), lambda _: None)
    assert json.loads((tmp_path / "run" / "report.json").read_bytes())["published"] is None
    assert "Beside the published shares" not in write_report(tmp_path / "run").read_text()


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="no run of gristmill"):
        write_report(tmp_path)


def test_a_run_that_is_not_finished_is_refused(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UserError, match="not finished"):
        write_report(tmp_path)


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6), st.lists(st.floats(0.01, 1.0), min_size=6, max_size=6))
def test_parts_of_a_gap_add_up_to_it(here, there):
    there = there[: len(here)]
    gap = 100 * (np.prod(here) - np.prod(there))
    parts = gap_parts(
        100 * np.prod(here),
        100 * np.prod(there),
        [(str(i), a / b) for i, (a, b) in enumerate(zip(here, there, strict=True))],
    )
    assert sum(parts.values()) == pytest.approx(gap, rel=1e-6, abs=1e-6)


@given(st.lists(st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9), min_size=1), st.floats(0, 1))
def test_a_sketch_gives_quantiles_within_a_thousandth(values, part):
    sketch = Sketch()
    sketch.add(np.array(values, np.float64), np.zeros(len(values), np.int64))
    exact = sorted(map(float, values))[max(0, int(np.ceil(part * len(values))) - 1)]
    assert sketch.quantile(part) == pytest.approx(exact, rel=1 / 1024, abs=1e-300)
    assert sketch.quantile(part) <= exact


def test_small_integers_are_exact_in_a_sketch():
    sketch = Sketch()
    sketch.add(np.arange(2049), np.zeros(2049, np.int64))
    assert sketch.values()[0].tolist() == list(range(2049))


@given(st.lists(st.floats(0, 2) | st.sampled_from([0.15, 0.1500001]), min_size=1))
def test_bars_on_either_side_of_a_bound_hold_what_passes_and_what_fails(values):
    array = np.array(values)
    sketch = Sketch()
    sketch.add(array, np.where(array > 0.15, Outcome.ABOVE, Outcome.KEPT))
    bins = histogram(sketch, Rule("r", "m", "max_m", max_kept=0.15), integers=False)
    bound = int(np.argmin(np.abs(np.array(bins.edges) - 0.15)))
    assert bins.edges[bound] == pytest.approx(0.15)
    assert sum(bins.kept[: bound + 1]) == int((array <= 0.15).sum())
    assert sum(bins.failing[bound + 1 :]) == int((array > 0.15).sum())


@given(st.lists(st.integers(0, 10**6), min_size=1))
def test_bars_of_counts_hold_every_value(values):
    array = np.array(values)
    sketch = Sketch()
    sketch.add(array, np.where(array < 50, Outcome.BELOW, np.where(array > 100_000, Outcome.ABOVE, Outcome.OTHER)))
    bins = histogram(sketch, Rule("r", "m", "min_m", 50, 100_000), integers=True)
    assert bins.edges == sorted(bins.edges)
    assert sum(bins.other) == int(((array >= 50) & (array <= 100_000)).sum())
    assert sum(bins.failing) == int(((array < 50) | (array > 100_000)).sum())


def test_frequent_names_survive_pruning_and_the_error_is_told():
    counter = TopCounter(limit=10)
    for number in range(1000):
        counter.update(["often", "often", f"rare{number}"])
    (name, count), *_ = counter.top(1)
    assert name == "often"
    assert count <= 2000 <= count + counter.missed
    assert len(counter) <= 10


def test_samples_do_not_depend_on_the_order_of_batches(run):
    from pipelines.ledger.rules import rules_of
    from pipelines.report.aggregate import Tally
    from shards.sink import open_arrow

    recipe = load_recipe(str(run / "recipe.toml"))
    (path,) = (run / "ledger").glob("*.arrow")
    batch = open_arrow(path).read_all().combine_chunks().to_batches()[0]
    both = []
    for parts in ([batch], [batch.slice(20), batch.slice(0, 20)]):
        tally = Tally(rules_of(recipe), Tally.of_run(run, recipe).metrics)
        for part in parts:
            assert isinstance(part, pa.RecordBatch)
            tally.add(part, "k")
        both.append(({r: [s.id for s in chosen] for r, chosen in tally.samples.items()}, tally.counts, tally.languages))
    assert both[0] == both[1]


def test_a_score_for_each_language_is_told_in_the_report() -> None:
    assert _setting({"ru": 0.9, "zh": 0.69}) == "ru 0.9 zh 0.69"
