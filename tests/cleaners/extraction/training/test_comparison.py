"""Engines on groups of pages."""

import pytest

from cleaners.extraction.training.comparison import compare
from cleaners.extraction.training.score import ScoredPage, score_page

LABEL = "one two three four"


def page(number: int, text: str, **truth: object) -> ScoredPage:
    return score_page(f"https://{number}.example/", text, {"main_content": LABEL, "set": "s", "page_type": "t"} | truth)


def test_ours_is_compared_with_the_best_peer_of_each_group() -> None:
    scores = {
        "ours": [page(0, LABEL, set="a"), page(1, LABEL, set="a"), page(2, "one two", set="b")],
        "near": [page(0, LABEL, set="a"), page(1, "one two", set="a"), page(2, "", set="b")],
        "far": [page(0, "", set="a"), page(1, "", set="a"), page(2, LABEL, set="b")],
    }
    found = {(group.way, group.group): group for group in compare(scores)}
    assert list(found) == [("all", "all"), ("set", "a"), ("set", "b"), ("type", "t"), ("label", "under 100 words")]
    in_all, a, b = (found[key] for key in (("all", "all"), ("set", "a"), ("set", "b")))
    assert (in_all.best_peer, a.best_peer, b.best_peer) == ("near", "near", "far")
    assert (a.pages, a.hosts, a.f1) == (2, 2, {"ours": 1, "near": pytest.approx((1 + 2 / 3) / 2), "far": 0})
    assert a.difference == pytest.approx(1 / 6)
    assert a.interval == [0, pytest.approx(1 / 3)]
    assert b.difference == pytest.approx(-1 / 3)
    assert b.interval is None, "one host"


def test_groups_are_sorted_by_pages_and_labels_by_length() -> None:
    long = "word " * 150
    ours = [
        page(0, "x", language="ru", main_content=long),
        page(1, "x", language="en"),
        page(2, "x", language="en", main_content=long),
        page(3, "x", main_content=long),
    ]
    groups = [(group.way, group.group, group.pages) for group in compare({"ours": ours})]
    assert groups == [
        ("all", "all", 4),
        ("set", "s", 4),
        ("language", "en", 2),
        ("language", "ru", 1),
        ("type", "t", 4),
        ("label", "under 100 words", 1),
        ("label", "100 to 199 words", 3),
    ]


def test_pages_without_a_text_are_left_out() -> None:
    assert list(compare({"ours": [page(0, "x", main_content=None, **{"with": ["x"]})]})) == []
    assert list(compare({"ours": [], "theirs": []})) == []
