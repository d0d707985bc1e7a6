"""Curves: any number of steps gives at most a thousand points, and a file that is being written is read."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from training_folder import make_training, step_record, write_lines

from pipelines.report.training.curves import MAX_POINTS, Curves, read_lines, smoothed


def test_a_short_training_has_a_point_for_each_step(tmp_path: Path) -> None:
    curves = Curves.read(make_training(tmp_path / "m", 30) / "metrics.jsonl")
    loss = curves.curve("loss")
    assert loss is not None
    assert loss.steps.tolist() == list(range(1, 31))
    assert loss.values == pytest.approx([step_record(step)["loss"] for step in range(1, 31)])
    assert (curves.last_step, curves.last["tokens"], curves.total("seconds")) == (30, 30_000, 15.0)
    assert list(curves.table("loss_by_source")) == ["<web>", "books"]
    assert curves.curve("mfu") is None, "null is no value"


def test_a_long_training_has_the_means_and_the_range_of_equally_many_steps(tmp_path: Path) -> None:
    write_lines(tmp_path / "m.jsonl", ({"step": step, "loss": float(step)} for step in range(1, 2501)))
    loss = Curves.read(tmp_path / "m.jsonl").curve("loss")
    assert loss is not None
    assert len(loss.values) == 834
    assert (loss.steps[0], loss.values[0], loss.least[0], loss.largest[0]) == (2, 2, 1, 3)
    assert (loss.steps[-1], loss.values[-1]) == (2500, 2500), "the last point has one step"


@pytest.mark.slow
def test_memory_and_points_do_not_grow_with_the_steps(tmp_path: Path) -> None:
    write_lines(tmp_path / "m.jsonl", map(step_record, range(1, 20_001)))
    tracemalloc.start()
    curves = Curves.read(tmp_path / "m.jsonl")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    loss = curves.curve("loss")
    assert loss is not None
    assert len(loss.values) <= MAX_POINTS
    assert curves.last_step == 20_000
    assert peak < 5_000_000, "the file has 8 MB"


def test_a_torn_line_and_lines_that_are_no_records_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    write_lines(path, [{"step": 1, "loss": 3.0}, {"step": 2, "loss": None}, {"step": 3, "loss": 1.0}])
    with path.open("a") as file:
        file.write('nothing\n[1]\n{"step": 4, "lo')
    loss = Curves.read(path).curve("loss")
    assert loss is not None
    assert (loss.steps.tolist(), loss.values.tolist()) == ([1, 3], [3.0, 1.0])
    assert [record["step"] for record in read_lines(path)] == [1, 2, 3]


def test_a_file_that_is_missing_or_empty_has_no_curves(tmp_path: Path) -> None:
    for content in (None, "", "\n", json.dumps({"step": 0, "loss": 1})):
        if content is not None:
            (tmp_path / "m.jsonl").write_text(content)
        curves = Curves.read(tmp_path / "m.jsonl")
        assert (curves.last_step, curves.curve("loss"), curves.table("loss_by_source")) == (0, None, {})


def test_smoothing_leaves_a_constant_as_it_is_and_a_few_points_as_their_running_mean() -> None:
    assert smoothed(np.full(500, 3.0)) == pytest.approx(np.full(500, 3.0))
    assert smoothed(np.array([1.0, 3.0])).tolist() == [1.0, 3.0], "a window of one"
    noise = np.random.default_rng(0).normal(size=1000)
    assert smoothed(noise).std() < 0.4 * noise.std()
