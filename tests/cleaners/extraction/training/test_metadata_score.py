"""When a title, a list of authors and a date are right."""

import pytest

from cleaners.extraction.training.metadata_score import MetadataScores, is_right, names_in


@pytest.mark.parametrize(
    ("name", "found", "truth", "right"),
    [
        ("title", "The  Mill’s fire!", "the mill's Fire", True),
        ("title", "The mill | Site", "The mill", False),
        ("title", "", "The mill", False),
        ("author", "Bo Ek, Ann Lee", ["Ann Lee", "Bo Ek"], True),
        ("author", "Bo Ek and Ann Lee", "Ann Lee; Bo Ek", True),
        ("author", "By ANN LEE", "Ann Lee", True),
        ("author", "Associated Press", "The Associated Press", True),
        ("author", "Ann Lee", ["Ann Lee", "Bo Ek"], False),
        ("author", "Ann Lee, Bo Ek", "Ann Lee", False),
        ("date", "2020-03-05", "2020-03-05T10:00:00Z", True),
        ("date", "2020-03-06", "2020-03-05", False),
    ],
)
def test_a_field_is_right_or_wrong(name: str, found: str, truth: str | list[str], right: bool) -> None:
    assert is_right(name, found, truth) is right


def test_names_are_a_set_without_empty_ones() -> None:
    assert names_in("By Ann Lee | , Bo Ek & the Mill") == {"annlee", "boek", "mill"}
    assert names_in([]) == set()


def test_pages_without_a_label_are_not_counted() -> None:
    scores = MetadataScores()
    scores.add({"title": "a", "author": None, "date": "2020-03-05"}, {"title": "a", "author": ["b"], "date": None})
    scores.add({"title": "x"}, {"title": "a", "author": None})
    assert (scores.share_right("title"), scores.share_right("author"), scores.share_right("date")) == (0.5, 0.0, 0.0)
    assert (scores.share_empty("title"), scores.share_empty("author"), scores.share_empty("date")) == (0.0, 1.0, 0.0)
    assert scores.labelled["date"] == 0
