"""A training that was killed ten times, and went on each time on another number of devices, adds up."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from training_runs import curve, train

from pretrain.verify_run import verify_run

KILLS, WORLDS, STEPS = 10, (1, 2, 3, 8), 24


# Children are forked from a process of its own that has not used torch: the threads of OpenMP do not come along, and a
# child of one that has would wait for them.
KILLED = """
import os, signal, sys, traceback
from itertools import cycle
from pathlib import Path
import numpy as np
from pretrain.order.plan import Plan
from pretrain.train import train_model

of_rank = Plan.rows_of_step

def of_world(world):
    # `Plan.rows_of_step` for one process that has the rows of all devices of a world, device after device
    def rows_of_step(plan, step, rank=0, ranks=1):
        assert (rank, ranks) == (0, 1)
        parts = [of_rank(plan, step, rank, world) for rank in range(world)]
        return tuple(np.concatenate(of_parts) for of_parts in zip(*parts, strict=True))
    return rows_of_step

def killed(path, world, at):
    # train in a process that dies when it has recorded step `at`; whether it did
    if (child := os.fork()) == 0:
        Plan.rows_of_step = of_world(world)
        def die(record):
            if record["step"] == at and "loss" in record:
                os.kill(os.getpid(), signal.SIGKILL)
        try:
            train_model(path, overrides={}, progress=die)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return True
    assert status == 0
    return False

path, worlds = Path(sys.argv[1]), cycle(map(int, sys.argv[2].split(",")))
done = [killed(path, next(worlds), int(at)) for at in sys.argv[3].split(",")]
assert all(done), done
assert not killed(path, 3, 10**9)
"""


@pytest.mark.slow
def test_ten_kills_and_four_worlds_use_each_row_as_planned(train_file: Callable[..., Path], tmp_path: Path) -> None:
    settings: dict[str, object] = {"batch_size": 24, "steps": STEPS, "checkpoint": {"every": 2}}
    choose = np.random.default_rng(0)
    at = [min(STEPS - 1, 2 * kill + 1 + int(choose.integers(0, 3))) for kill in range(KILLS)]
    words = [str(train_file(**settings)), ",".join(map(str, WORLDS)), ",".join(map(str, at))]
    subprocess.run([sys.executable, "-c", KILLED, *words], check=True)
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
