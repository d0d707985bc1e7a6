"""The page in Chromium: it asks for nothing, its sliders say what `whatif` says, and nothing is cut at any width."""

import random
import re
from pathlib import Path
from typing import Any

import pytest
from chromium import AXE, Browser
from ledger_runs import make_run
from report_run import write_warc

from pipelines.replay.whatif import whatif
from pipelines.report.build import write_report
from pipelines.report.model import Sweep, read_report_file
from pipelines.report.moved import Outlook, moved
from pipelines.run.folder import RunFolder

WIDTHS = (1440, 820, 390)
# Everything is unfolded; what then reaches beyond the window, or has a part that one must scroll to, is cut.
CUT = """
for (const folded of document.querySelectorAll("details")) folded.open = true;
for (const more of document.querySelectorAll(".more")) for (let i = 0; i < 40 && !more.hidden; i++) more.click();
const width = document.documentElement.clientWidth, cut = [];
for (const part of document.querySelectorAll("main *")) {
  const box = part.getBoundingClientRect(), style = getComputedStyle(part);
  if (!box.width || style.position === "absolute") continue;
  if (part.closest("thead, .unseen, .label, option, svg, select")) continue;
  const scrolls = /scroll/.test(part.className) && part.scrollWidth > part.clientWidth + 1;
  if (box.right > width + 1 || scrolls) cut.push(`${part.tagName}.${part.className}: ${part.textContent.slice(0, 50)}`);
}
return cut;
"""


@pytest.fixture(scope="module")
def local_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without global stages but the one that every run has."""
    folder = tmp_path_factory.mktemp("local")
    recipe = """
        source.web.kind = "warc"
        stage = [
            { kind = "extract", engine = "resiliparse" },
            { kind = "gopher_repetition" },
            { kind = "gopher_quality", max_words = 130 },
        ]
    """
    write_warc(folder / "small.warc.gz")
    run = make_run(folder / "run", folder / "small.warc.gz", recipe=recipe)
    write_report(run)
    return run


def page_of(run: Path) -> Path:
    return run / "report.html"


def move(browser: Browser, reason: str, side: str, position: int) -> dict[str, Any]:
    """Move a slider as a hand does; what the page then says."""
    said: dict[str, Any] = browser.run(
        """
        const box = document.querySelector(`.slider[data-reason="${arguments[0]}"]`);
        const input = box.querySelector(`input[data-side=${arguments[1]}]`);
        input.value = arguments[2];
        input.dispatchEvent(new Event("input", { bubbles: true }));
        const said = { ...box.dataset, whatif: box.querySelector(".whatif").textContent };
        box.querySelector(".reset").click();
        return said;
        """,
        reason,
        side,
        position,
    )
    return said


def positions(run: Path, number: int) -> list[tuple[Sweep, str, int]]:
    """Positions of sliders, drawn from those at which other documents are dropped."""
    report = read_report_file(RunFolder(run))
    outlook = Outlook.of(report)
    moves: list[tuple[Sweep, str, int]] = []
    for sweep in report.sweeps:
        for side, setting in (("min", sweep.min_setting), ("max", sweep.max_setting)):
            for position, edge in enumerate(sweep.edges if setting is not None else ()):
                limits = (edge, sweep.max_kept) if side == "min" else (sweep.min_kept, edge)
                if moved(outlook, sweep, *limits).dropped != report.dropped.get(sweep.reason, 0):
                    moves.append((sweep, side, position))
    return random.Random(17).sample(moves, min(number, len(moves)))


def test_it_opens_from_a_file_with_an_empty_console_and_no_request(run: Path, browser: Browser) -> None:
    browser.open(page_of(run))
    assert browser.run("return document.documentElement.dataset.ready") == "true"
    assert browser.console() == []
    assert browser.requests() == [page_of(run).as_uri()]


def test_a_script_in_a_crawled_page_does_not_run_and_its_addresses_are_no_links(run: Path, browser: Browser) -> None:
    """Samples hold `<script>alert(…)` and a document with the address `javascript:alert(1)`."""
    browser.open(page_of(run))
    assert browser.run("return document.scripts.length") == 2  # its own, and the facts
    schemes = browser.run("return [...document.links].map((link) => link.protocol)")
    assert set(schemes) <= {"file:", "https:", "http:"}
    assert browser.run("return document.querySelector('.sample').ownerDocument.title").startswith("refinedweb: ")


def test_without_global_stages_a_slider_says_what_whatif_says(local_run: Path, browser: Browser) -> None:
    browser.open(page_of(local_run))
    chosen = positions(local_run, 25)
    assert len(chosen) == 25
    for sweep, side, position in chosen:
        said = move(browser, sweep.reason, side, position)
        (setting,) = re.findall(r"--set (\S+)", said["whatif"])
        forecast = whatif(local_run, [setting])
        after = {rule.reason: rule.after.documents for rule in forecast.rules}
        assert int(said["dropped"]) == after.get(sweep.reason, 0), setting
        assert (int(said["least"]), int(said["most"])) == (forecast.least.documents, forecast.most.documents), setting


def test_before_global_stages_whatif_lies_in_the_range_of_the_slider(run: Path, browser: Browser) -> None:
    browser.open(page_of(run))
    for sweep, side, position in positions(run, 15):
        said = move(browser, sweep.reason, side, position)
        (setting,) = re.findall(r"--set (\S+)", said["whatif"])
        forecast = whatif(run, [setting])
        assert int(said["least"]) <= forecast.least.documents <= forecast.most.documents <= int(said["most"]), setting


def test_search_finds_a_rule_and_its_link_opens_it(run: Path, browser: Browser) -> None:
    browser.open(page_of(run))
    hash_, is_open = browser.run(
        """
        const find = document.querySelector("#find");
        find.value = "max_mean_word";
        find.dispatchEvent(new Event("input", { bubbles: true }));
        const link = document.querySelector("#found a");
        link.click();
        return [link.hash, document.querySelector(link.hash.replaceAll(".", "\\\\.")).open];
        """
    )
    assert hash_ == "#rule-gopher_quality.words_too_long"
    assert is_open


def test_every_link_within_the_page_leads_somewhere(run: Path, browser: Browser) -> None:
    browser.open(page_of(run))
    lost = browser.run(
        """
        return [...document.querySelectorAll("a[href^='#']")].map((a) => decodeURIComponent(a.hash.slice(1)))
          .filter((id) => !document.getElementById(id));
        """
    )
    assert lost == []


def test_filters_choose_samples_of_a_rule(run: Path, browser: Browser) -> None:
    browser.open(page_of(run))
    shown, rules = browser.run(
        """
        document.querySelector('a[data-rule="gopher_quality.too_few_words"]').click();
        const shown = [...document.querySelectorAll(".side-dropped .sample")].filter((sample) => !sample.hidden);
        return [shown.length, [...new Set(shown.map((sample) => sample.dataset.rules))]];
        """
    )
    assert shown == 6
    assert rules == ["gopher_quality.too_few_words"]


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut(run: Path, browser: Browser, width: int) -> None:
    browser.open(page_of(run), width=width)
    assert browser.run(CUT) == []
    assert browser.run("return document.documentElement.scrollWidth") <= width


def test_nothing_is_cut_on_paper(run: Path, browser: Browser) -> None:
    browser.open(page_of(run), width=718)  # the width of A4 within Chromium's margins
    browser.command("Emulation.setEmulatedMedia", media="print")
    assert browser.run(CUT) == []


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not here: make axe")
@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
def test_axe_finds_nothing_serious(run: Path, browser: Browser, width: int, dark: bool) -> None:
    browser.open(page_of(run), width=width, dark=dark)
    browser.run("for (const folded of document.querySelectorAll('details')) folded.open = true;")
    browser.command("Runtime.evaluate", expression=AXE.read_text(encoding="utf-8"))
    found = browser.command(
        "Runtime.evaluate",
        expression="axe.run(document).then((r) => r.violations.filter((v) => /serious|critical/.test(v.impact))"
        ".map((v) => `${v.id}: ${v.nodes.length}: ${v.nodes[0].html.slice(0, 200)} ${v.nodes[0].failureSummary}`))",
        awaitPromise=True,
        returnByValue=True,
    )
    assert found["result"].get("value") == []
