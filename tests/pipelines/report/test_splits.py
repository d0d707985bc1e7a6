"""Splits count names by drop reason; overlaps count pairs of rules."""

import numpy as np

from pipelines.report.model import Split, Together
from pipelines.report.splits import Overlaps, Splits


def test_a_name_is_counted_under_the_first_reason_of_its_documents() -> None:
    splits = Splits()
    kept = 2
    splits.add(np.array(["a", "b", "a", "", "a"], object), np.array([0, 0, 1, 0, kept]), kept)
    splits.add(np.array(["b", "b"], object), np.array([0, -1]), kept)  # the last was removed on request
    splits.add(np.zeros(0, object), np.zeros(0, np.int64), kept)
    assert splits.of(0) == (Split("b", 2, 3), Split("a", 1, 3))
    assert splits.of(1) == (Split("a", 1, 3),)
    assert splits.of(kept) == ()


def test_overlaps_are_documents_that_fail_both_rules_whatever_their_number_of_metrics() -> None:
    overlaps = Overlaps(["r", "r", "s", "t"])  # r compares two metrics
    overlaps.add(np.array([[1, 1, 0], [0, 1, 0], [1, 1, 0], [0, 1, 1]], np.bool_))
    assert overlaps.of("r") == (Together("s", 2), Together("t", 1))
    assert overlaps.of("t") == (Together("r", 1), Together("s", 1))
    assert overlaps.of("of a global stage") == ()
