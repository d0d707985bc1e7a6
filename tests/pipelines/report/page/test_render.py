"""The page of a report holds any text safely, asks for nothing outside, and shows what a reader must know."""

import base64
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from pipelines.report.chosen_samples import NEAREST


class Page(HTMLParser):
    """Checks that elements nest, and collects attributes and texts."""

    VOID = frozenset({"meta", "br", "hr", "link", "img", "input", "wbr"})
    SELF_CLOSED = frozenset({"rect", "line", "path", "polyline", "circle"})

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


def test_page_asks_for_nothing_outside_and_its_policy_lets_one_script_run(parsed: Page, html: str) -> None:
    names = {tag for tag, _ in parsed.tags}
    assert not names & {"link", "img", "iframe", "object", "embed", "base", "video", "audio"}
    assert [attributes.get("type") for tag, attributes in parsed.tags if tag == "script"] == ["application/json", None]
    script = html.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [str(a["content"]) for tag, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    for tag, attributes in parsed.tags:
        assert "src" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        href = attributes.get("href")
        if href is not None:
            assert tag == "a"
            assert href.startswith("#") or ("noreferrer" in str(attributes["rel"]) and href.startswith("https://"))
    assert set(re.findall(r"url\([^)]*\)", html)) == {"url(#hatch)"}
    assert "@import" not in html


def test_anchors_of_the_page_lead_somewhere(parsed: Page) -> None:
    ids = {attributes["id"] for _, attributes in parsed.tags if "id" in attributes}
    hrefs = [str(a["href"]) for tag, a in parsed.tags if tag == "a"]
    links = {href[1:] for href in hrefs if href.startswith("#")}
    assert links
    assert links <= ids


def test_samples_are_escaped_and_control_characters_are_shown(html: str) -> None:
    assert "&lt;script&gt;alert(" in html
    assert html.count("<script") == 2
    assert not [c for c in html if ord(c) < 32 and c not in "\n\t"]


def test_text_of_any_direction_is_isolated(html: str) -> None:
    assert "مرحبا" in html
    assert 'class="text" tabindex="0" dir="auto"' in html
    assert "⟨RLO⟩evil⟨PDF⟩" in html
    assert "\u202e" not in html
    assert "javascript:alert(1)" in html  # as text
    assert 'href="javascript' not in html


def test_ten_random_samples_are_there_of_the_kept_and_of_a_rule_and_some_near_its_threshold(parsed: Page) -> None:
    samples = [a for tag, a in parsed.tags if tag == "details" and a.get("class") == "sample" and "data-order" in a]
    found = Counter((a["data-rules"], a["data-order"]) for a in samples)
    assert found["", "random"] == found["gopher_quality.too_few_words", "random"] == 10
    assert found["gopher_quality.too_few_words", "nearest"] == 2 * NEAREST


def test_a_sample_shows_its_value_beside_the_threshold(html: str) -> None:
    assert re.search(r"too_few_words: word_count \d+, least 50<", html)


def test_thresholds_are_drawn_and_labelled(html: str) -> None:
    for label in ("min 50", "max 100,000", "min 3", "max 10", "max 0.15", "min 0.8", "max 200,000"):
        assert f">{label}</text>" in html
