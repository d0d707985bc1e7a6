"""Anomalous losses: planted ones are found among those of their language, and the rest stays."""

import numpy as np
import pytest

from pipelines.worth.anomalies import LIMIT, grouped, precision_interval, robust_z


def test_planted_losses_are_found_by_language_and_hardly_any_other() -> None:
    random = np.random.default_rng(1)
    english = np.exp(random.normal(0.2, 0.1, 400))
    chinese = np.exp(random.normal(0.9, 0.1, 200))  # high for English, and ordinary here
    english[:10], chinese[:5] = 0.05, 6.0
    english[10:14] = 2.46  # ordinary for Chinese
    z = robust_z(np.concatenate([english, chinese]), ["en"] * 400 + ["zh"] * 200)
    found = np.flatnonzero(np.abs(z) >= LIMIT).tolist()
    assert set(found) >= {*range(14), *range(400, 405)}
    assert len(found) <= 22
    assert (z[:10] < 0).all()
    assert (z[400:405] > 0).all()


def test_a_tenth_of_bad_documents_does_not_hide_itself() -> None:
    losses = np.concatenate([np.full(30, 0.01), np.exp(np.random.default_rng(2).normal(0, 0.1, 270))])
    assert (robust_z(losses, ["en"] * 300)[:30] < -LIMIT).all()


def test_documents_of_a_rare_language_are_compared_with_all() -> None:
    losses = np.append(np.exp(np.random.default_rng(3).normal(0, 0.1, 100)), 50.0)
    assert robust_z(losses, ["en"] * 100 + ["xx"])[-1] > LIMIT


@pytest.mark.parametrize("count", [0, 1])
def test_few_or_no_documents_are_not_suspected(count: int) -> None:
    assert robust_z(np.ones(count), ["en"] * count).tolist() == [0] * count


def test_groups_with_suspects_come_first_and_small_ones_are_left_out() -> None:
    names = ["a", "a", "a", "b", "b", "b", "b", "c", "c", "d", "d", "d"]
    z = np.array([-9, -9, 0, 5, 0, 0, 0, -9, -9, 0, 0, 1.0])
    found = grouped(names, z)
    assert [(g.name, g.num_documents, g.num_low, g.num_high) for g in found] == [("a", 3, 2, 0), ("b", 4, 0, 1)]


def test_precision_has_wilsons_interval() -> None:
    assert precision_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-3)
    assert precision_interval(0, 0) == (0, 1)
