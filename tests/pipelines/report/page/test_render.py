"""The page of a report holds any text safely, asks for nothing outside, and shows what a reader must know."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipelines.recipe import load_recipe
from pipelines.report.model import DamagedPlace, Documents, read_report_file
from pipelines.report.page.render import findings
from pipelines.run.folder import RunFolder


class Page(HTMLParser):
    """Checks that elements nest, and collects attributes and texts."""

    VOID = frozenset({"meta", "br", "hr", "link", "img", "input"})
    SELF_CLOSED = frozenset({"rect", "line", "path"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.SELF_CLOSED
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


@pytest.fixture(scope="session")
def parsed(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    return page


def test_page_is_well_formed(parsed: Page) -> None:
    assert parsed.open == []


def test_page_asks_for_nothing_outside_and_runs_no_script(parsed: Page, html: str) -> None:
    names = {tag for tag, _ in parsed.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "video", "audio"}
    for tag, attributes in parsed.tags:
        assert "src" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        href = attributes.get("href")
        if href is not None:
            assert tag == "a"
            assert href.startswith("#") or ("noreferrer" in str(attributes["rel"]) and href.startswith("https://"))
    assert "url(" not in html
    assert "@import" not in html
    assert any(str(a.get("content")).startswith("default-src 'none'") for tag, a in parsed.tags if tag == "meta")


def test_anchors_of_the_page_lead_somewhere(parsed: Page) -> None:
    ids = {attributes["id"] for _, attributes in parsed.tags if "id" in attributes}
    hrefs = [str(a["href"]) for tag, a in parsed.tags if tag == "a"]
    links = {href[1:] for href in hrefs if href.startswith("#")}
    assert links
    assert links <= ids


def test_samples_are_escaped_and_control_characters_are_shown(html: str) -> None:
    assert "&lt;script&gt;alert(" in html
    assert "<script" not in html
    assert not [c for c in html if ord(c) < 32 and c not in "\n\t"]


def test_text_of_any_direction_is_isolated(html: str) -> None:
    assert "مرحبا" in html
    assert 'class="text" dir="auto"' in html
    assert "javascript:alert(1)" in html  # as text
    assert 'href="javascript' not in html


def test_ten_samples_are_shown_for_the_kept_and_for_a_rule(html: str) -> None:
    kept, dropped = html.split('id="dropped"')
    assert kept.count('<details class="sample">') == 10
    part = dropped.split("gopher_quality.too_few_words<")[1].split('<details class="rule">')[0]
    assert part.count('<details class="sample">') == 10
    assert "least 50" in part


def test_thresholds_are_drawn_and_labelled(html: str) -> None:
    for label in ("min 50", "max 100,000", "min 3", "max 10", "max 0.15", "min 0.8", "max 200,000"):
        assert f">{label}</text>" in html


def test_findings_agree_in_number(run: Path) -> None:
    recipe, report = load_recipe(str(run / "recipe.toml")), read_report_file(RunFolder(run))
    place = DamagedPlace("a.warc.gz", 0, "torn")
    assert "1 place of the input could not be read." in findings(replace(report, damage=(place,)), recipe)
    assert "2 places of the input could not be read." in findings(replace(report, damage=(place, place)), recipe)


def test_an_empty_input_has_one_finding(run: Path) -> None:
    recipe, report = load_recipe(str(run / "recipe.toml")), read_report_file(RunFolder(run))
    assert findings(replace(report, documents=Documents(0, 0)), recipe) == ["The input holds no document."]


def test_rules_of_stages_that_stop_are_not_said_to_decide_alone(run: Path) -> None:
    """Nothing else measures what `page.not_html` drops."""
    recipe, report = load_recipe(str(run / "recipe.toml")), read_report_file(RunFolder(run))
    alone = {"page.not_html": 9, "gopher_quality.too_few_words": 1}
    rules = tuple(replace(row, alone=alone.get(row.reason, 0)) for row in report.rules)
    (line,) = [line for line in findings(replace(report, rules=rules), recipe) if "decides most on its own" in line]
    assert "gopher_quality.too_few_words decides most" in line
    assert "1 document fails it" in line
