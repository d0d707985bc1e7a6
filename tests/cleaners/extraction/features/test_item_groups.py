"""Groups of like elements on pages written for it. test_block_features has their definitions in plain Python."""

import pytest
from extraction_soup import feature_value

CARD = "<div class=card><a href=x>Another story</a> <p>Two words"


@pytest.mark.parametrize(
    ("name", "value"), [("items", 3), ("chars", 20), ("link_share", 0.6), ("share", 60 / 64), ("prose_share", 0.4)]
)
def test_a_group_of_cards(name: str, value: float) -> None:
    page = "<p>Text" + f"{CARD}</div>" * 3
    assert feature_value(page, f"outermost_group_{name}", 1) == pytest.approx(value)
    assert feature_value(page, f"outermost_group_{name}", 0) == -1


def test_the_largest_group_is_that_of_most_elements_and_the_outermost_that_of_fewest_around() -> None:
    page = "<section><p>a<p>b<p>c<p>d</section>" * 3
    assert feature_value(page, "largest_group_items") == 4
    assert feature_value(page, "outermost_group_items") == 3


def test_elements_without_text_are_no_items() -> None:
    page = "<ul><li>a<li>b<li><li><img></ul>"
    assert feature_value(page, "largest_group_items") == 2
    assert feature_value(page, "outermost_group_items") == -1


def test_elements_of_another_class_or_parent_are_no_items() -> None:
    assert feature_value("<p class=a>x<p class=b>y", "largest_group_items") == -1
    assert feature_value("<div><p>x</div><div><p>y</div>", "largest_group_items") == 2  # the two <div>
