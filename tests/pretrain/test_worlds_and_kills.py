"""A training that was killed ten times, and went on each time on another number of devices, adds up."""

import json
import os
import signal
import traceback
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from training_runs import curve, train

from pretrain.metrics import Record
from pretrain.order.plan import Plan
from pretrain.verify_run import verify_run

KILLS, WORLDS, STEPS = 10, (1, 2, 3, 8), 24


def of_world(world: int) -> Callable[..., tuple[np.ndarray, ...]]:
    """`Plan.rows_of_step` for one process that has the rows of all devices of a world, device after device."""
    of_rank = Plan.rows_of_step

    def rows_of_step(self: Plan, step: int, rank: int = 0, ranks: int = 1) -> tuple[np.ndarray, ...]:
        assert (rank, ranks) == (0, 1)
        parts = [of_rank(self, step, rank, world) for rank in range(world)]
        return tuple(np.concatenate(of_parts) for of_parts in zip(*parts, strict=True))

    return rows_of_step


def killed(path: Path, world: int, at: int) -> bool:
    """Train in a process that dies when it has recorded step `at`; whether it did."""
    if (child := os.fork()) == 0:
        Plan.rows_of_step = of_world(world)  # type: ignore[method-assign,assignment]

        def die(record: Record) -> None:
            if record["step"] == at and "loss" in record:
                os.kill(os.getpid(), signal.SIGKILL)

        code = 1
        try:
            train(path, die)
            code = 0
        except BaseException:  # noqa: BLE001  # the child must not go on with the tests
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.slow
def test_ten_kills_and_four_worlds_use_each_row_as_planned(train_file: Callable[..., Path], tmp_path: Path) -> None:
    settings: dict[str, object] = {"batch_size": 24, "steps": STEPS, "checkpoint": {"every": 2}}
    choose = np.random.default_rng(0)
    path, worlds, done = train_file(**settings), cycle(WORLDS), 0
    for kill in range(KILLS):
        at = min(STEPS - 1, 2 * kill + 1 + int(choose.integers(0, 3)))
        done += killed(path, next(worlds), at)
    assert done == KILLS
    assert not killed(path, 3, 10**9)
    proof = verify_run(tmp_path / "out")
    assert proof.problems == []
    assert proof.steps == STEPS
    assert sum(use.num_used for use in proof.sources) == 24 * STEPS

    train(train_file(out="undisturbed", **settings))
    ours, theirs = (curve(tmp_path / name) for name in ("out", "undisturbed"))
    assert [(step, tokens) for step, _, tokens, _ in ours] == [(step, tokens) for step, _, tokens, _ in theirs]
    assert np.allclose([loss for _, loss, *_ in ours], [loss for _, loss, *_ in theirs], atol=1e-4)
    assert checksums(tmp_path / "out") == checksums(tmp_path / "undisturbed")


def checksums(out: Path) -> list[str]:
    return [json.loads(line)["batch_xxh3"] for line in (out / "metrics.jsonl").read_text().splitlines()]
