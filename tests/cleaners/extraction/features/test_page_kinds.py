"""Scores of kinds of pages: what they see, and that they are learned."""

import numpy as np
import pytest
from extraction_soup import feature_value, random_models, sample_page
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaners.extraction.features.page_kinds import NUM_KINDS, SLOTS, KindModel, fit_kinds, page_slots

FORUM = "<div class=thread><div class=post>{}</div><button>Reply</button></div>"
BLOG = "<article class=entry>{}</article><button>Share this</button>"


def slots(page: str) -> list[int]:
    sample = sample_page(page)
    return page_slots(sample.data, sample.page).tolist()  # type: ignore[no-any-return]


def new(page: str, without: str) -> int:
    """The number of slots of a page that another does not have."""
    return len(set(slots(page)) - set(slots(without)))


def test_names_words_of_short_lines_and_generators_are_seen_once() -> None:
    assert slots("<p>one two three four five six") == []
    assert len(slots("<p class=a1>one two three four five<p class=story>a b c d e")) == 1
    assert len(slots("<p>Reply now<p>reply")) == 2
    assert len(slots("<meta name=generator content='WordPress 6.2'><meta name=Generator content=wordpress>")) == 1
    assert slots("<meta name=author content=wordpress><meta content=wordpress><meta name=generator>") == []


def test_a_word_a_name_an_address_a_title_and_a_generator_are_different() -> None:
    names = ("<p>story", "<p class=story>a b c d e", "<a href=story>", "<title>story</title>")
    pages = (*names, "<meta name=generator content=story>")
    assert [len(slots(page)) for page in pages] == [1] * 5
    assert len({slot for page in pages for slot in slots(page)}) == 5


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("/forum/view?t=5", 2),
        ("https://mill.example.org/forum/view?t=5", 2),
        ("http://mill.example.org", 0),
        ("HTTPS://mill.example.org/Forum", 1),
        ("forum", 1),
        ("a/b/c", 0),
        ("/an-old-mill-by-the-river", 6),
        ("/averyveryverylongname", 0),
        ("", 0),
        ("#", 0),
        ("mailto:ann", 2),
    ],
)
def test_names_in_addresses_are_seen_without_their_host(address: str, names: int) -> None:
    assert len(slots(f"<a href='{address}'></a>")) == names


_PIECES = ["http://", "https:/", "/", "mill", "m", "-", "a.org", "forum", "Forum", "threads", "c:", "?t=", "5", "é"]


@settings(max_examples=300)
@given(st.lists(st.lists(st.sampled_from(_PIECES), max_size=8).map("".join), max_size=6))
def test_addresses_that_begin_alike_have_the_names_of_each_alone(addresses: list[str]) -> None:
    links = [f"<a href='{address}'></a>" for address in addresses]
    assert slots("".join(links)) == list(dict.fromkeys(slot for link in links for slot in slots(link)))


@pytest.mark.parametrize("page", ["", "<p>", "<meta name=generator content=''>", "<meta name=generator content=ab>"])
def test_a_page_that_has_none_has_the_score_of_the_bias(page: str) -> None:
    assert slots(page) == []
    assert feature_value(page + "<p>a b c d e", "kind_list") == pytest.approx(random_models().kinds.bias[1])


def test_the_score_is_the_sum_of_weights_by_the_root_of_their_number() -> None:
    page = "<div class=thread>One two<p>a b c d e f"
    kinds, found = random_models().kinds, slots(page)
    for number, name in enumerate("thread list product service".split()):
        expected = kinds.bias[number] + kinds.weights[found, number].sum() / np.sqrt(len(found))
        assert feature_value(page, f"kind_{name}") == pytest.approx(expected, rel=1e-5)
        assert feature_value(page, f"kind_{name}", 1) == pytest.approx(expected, rel=1e-5)


def learned(seed: int = 0) -> KindModel:
    pages = [FORUM.format("a b c d e"), BLOG.format("a b c d e")] * 6
    return fit_kinds([np.array(slots(page), np.int32) for page in pages], ["forum", "article"] * 6, seed)


def test_threads_are_told_from_articles_and_nothing_is_a_product() -> None:
    model = learned()
    thread, article = (
        model.bias + model.weights[slots(page.format("x"))].sum(0) / np.sqrt(len(slots(page.format("x"))))
        for page in (FORUM, BLOG)
    )
    assert thread[0] > 1.5 > -1.5 > article[0]
    assert thread[2] < -1.5 > article[2]


def test_weights_are_those_of_the_file_and_follow_from_the_seed() -> None:
    first, again, other = learned(), learned(), learned(1)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.weights, other.weights)
    assert first.weights.shape == (SLOTS, NUM_KINDS)
    for part in first:
        assert np.array_equal(part, part.astype(np.float16).astype(np.float32))


def test_without_pages_all_weights_are_zero() -> None:
    assert not any(part.any() for part in fit_kinds([], [], 0))
