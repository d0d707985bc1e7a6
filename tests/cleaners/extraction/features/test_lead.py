"""The blocks that the title and the description of a page name."""

import pytest
from extraction_soup import feature_value

SAID = "content='The mill of the old village, and its river.'"
PAGE = "<h1>Name of the blog</h1><p>By Ann</p><h2>The mill</h2><p>The mill of the old village. And its river.<p>Later."


def test_blocks_count_from_the_one_with_the_words_of_the_title() -> None:
    page = f"<title>The mill</title>{PAGE}"
    assert [feature_value(page, "lead_since_title", b) for b in range(5)] == [-2, -1, 0, 1, 2]
    assert feature_value(page, "lead_title") == pytest.approx(1.3)
    assert feature_value(PAGE, "lead_since_title") == -999
    assert feature_value(PAGE, "lead_title") == 0


@pytest.mark.parametrize(
    "meta",
    [f"<meta name=description {SAID}>", f"<meta property=og:description {SAID}>", f"<META NAME=DESCRIPTION {SAID}>"],
)
def test_blocks_count_from_the_one_that_the_description_was_taken_from(meta: str) -> None:
    assert [feature_value(meta + PAGE, "lead_since_description", b) for b in range(5)] == [-3, -2, -1, 0, 1]
    assert feature_value(meta + PAGE, "lead_description", 3) == 1


@pytest.mark.parametrize(
    "meta", ["", "<meta name=description content='Too short'>", f"<meta name=keywords {SAID}>", "<meta>"]
)
def test_without_a_description_no_block_is_its_source(meta: str) -> None:
    assert feature_value(meta + PAGE, "lead_since_description", 3) == -999
    assert feature_value(meta + PAGE, "lead_description", 3) == -1


def test_references_in_the_description_are_decoded_and_case_does_not_count() -> None:
    meta = "<meta name=description content='&Eacute;t&eacute; &#1084;&#1086;&#1089;&#1090; МОСТ fish and chips'>"
    assert feature_value(f"{meta}<p>Été мост мост FISH and chips", "lead_description") == 1


def test_the_first_description_of_five_words_counts() -> None:
    metas = f"<meta name=description content=short><meta name=og:description {SAID}>"
    assert feature_value(metas + PAGE, "lead_description", 3) == 1
