"""F1, snippets and intervals on small examples."""

import pytest

from cleaners.extraction.training.score import (
    ScoredPage,
    Scores,
    difference,
    f1,
    interval,
    length_of,
    overlap,
    score_page,
)


def test_f1_is_over_the_multiset_of_words() -> None:
    assert f1("a b b c", "B b d") == pytest.approx(2 * 2 / 7)
    found = overlap("a b b c", "B b d")
    assert (found.common, found.precision, found.recall) == (2, 2 / 4, 2 / 3)
    assert (f1("", ""), f1("a", ""), f1("", "a"), f1("Мир, мир", "мир МИР!")) == (1, 0, 0, 1)


def test_chinese_japanese_and_thai_are_scored_over_characters() -> None:
    assert f1("水车在河边。", "水车在河边磨谷") == 0
    for language in ("zh", "zh-TW", "ja", "th"):
        assert f1("水车在河边。", "水车在河边磨谷", language) == pytest.approx(10 / 12)


@pytest.mark.parametrize(
    ("words", "length"),
    [(0, "under 100 words"), (99, "under 100 words"), (100, "100 to 199 words"), (1600, "1600 words and more")],
)
def test_labels_are_grouped_by_their_words_and_two_characters_are_a_word(words: int, length: str) -> None:
    assert length_of("wheel, " * words) == length
    assert length_of("水车，" * words, "zh") == length


def test_snippets_are_found_across_line_ends() -> None:
    truth = {"url": "u", "set": "s", "with": ["one two", "three"], "without": ["menu", "four  five"]}
    found = score_page("u", "one\ntwo\nfour five", truth)
    assert found == ScoredPage("u", "s", "s", "", "", None, 1, 2, 1, 2)


def test_interval_draws_whole_hosts() -> None:
    pages = [
        ScoredPage(f"https://{host}.example/{n}", "t", "s", "", "", None, 0, 0, 0, 0)
        for host in "ab"
        for n in range(50)
    ]
    low, high = interval(pages, [0.0] * 50 + [1.0] * 50) or (0, 0)
    assert (low, high) == (0, 1)
    assert interval(pages[:50], [1.0] * 50) is None


def scored(url: str, text: str, truth: str, kind: str = "t", source: str = "s") -> ScoredPage:
    return score_page(url, text, {"main_content": truth, "page_type": kind, "set": source})


def test_hosts_are_weighted_by_their_pages() -> None:
    pages = [
        ScoredPage(f"https://{'a' if n < 90 else n}.example/", "t", "s", "", "", None, 0, 0, 0, 0) for n in range(100)
    ]
    values = [1.0] * 90 + [0.0] * 10
    low, high = interval(pages, values) or (0, 0)
    assert low <= 0.9 <= high
    assert interval(pages, values) == [low, high], "the same draws each time"
    assert interval([], []) is None


def test_summary_groups_pages_by_type_and_set() -> None:
    pages = [
        scored("https://a.example/1", "a b", "a b", "article", "one"),
        scored("https://b.example/1", "a", "a b", "article", "two"),
        scored("https://c.example/1", "x", "y", "forum", "two"),
        score_page("https://d.example/1", "z", {"with": ["z"], "without": ["z", "q"], "set": "three"}),
    ]
    found = Scores(pages).summary()
    assert found["pages"] == 4
    assert found["f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert (found["precision"], found["recall"]) == (pytest.approx(2 / 3), pytest.approx(0.5))
    assert found["by_type"] == {"article": pytest.approx(5 / 6), "forum": 0}
    assert found["by_set"] == {"one": 1, "two": pytest.approx(1 / 3)}
    assert list(found["types"]) == ["article", "forum", "three"]
    assert found["sets"]["three"] == {
        "pages": 1,
        "with_found": 1,
        "without_avoided": 0.5,
        "accuracy": pytest.approx(2 / 3),
    }
    assert found["languages"] == {}
    assert found["lengths"] == {"under 100 words": {"pages": 3, "f1": found["f1"]}}
    assert [page["url"][8] for page in found["worst"]] == ["c", "b", "a"]


def test_summary_of_snippets_alone_has_no_f1() -> None:
    found = Scores([score_page("u", "z", {"with": ["z"]})]).summary()
    assert (found["f1"], found["f1_interval"], found["precision"], found["by_type"]) == (None, None, None, {})
    assert found["types"] == {"": {"pages": 1}}, "no share of `without`, of which there is none"
    assert Scores().summary()["pages"] == 0


def test_difference_is_taken_page_by_page() -> None:
    ours = [scored("https://a.example/", "a", "a"), scored("https://b.example/", "a", "a")]
    theirs = [scored("https://a.example/", "b", "a"), scored("https://b.example/", "a", "a")]
    assert difference(ours, theirs) == {"f1": 0.5, "f1_interval": [0, 1]}
    assert difference([], []) == {"f1": None, "f1_interval": None}


def test_time_of_the_first_call_is_separate() -> None:
    scores = Scores()
    for url in ("u", "v"):
        scores.add(lambda html, url: html + url, "<p>", url, {"main_content": "p " + url})
    assert [page.overlap for page in scores.pages] == [overlap("<p>u", "p u"), overlap("<p>v", "p v")]
    assert scores.summary()["first_call_s"] == scores.first_call
