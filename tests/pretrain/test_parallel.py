"""Two and three processes that torchrun starts learn what one does."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rank_steps import CASES, Result, steps_of

from pretrain.config import load_config
from pretrain.order.plan import keep_plan, make_plan
from pretrain.ranks import Ranks

SCRIPT = Path(__file__).parent / "rank_steps.py"
EXACT, NEAR = 1e-6, 1e-3


def by_ranks(world: int, train_file: Path, out: Path) -> list[Result]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
    subprocess.run([*command, str(SCRIPT), str(train_file), str(out)], check=True, timeout=300)
    return [Result(**values) for values in torch.load(out)]


@pytest.mark.slow
def test_two_and_three_ranks_learn_what_one_does(train_file: Callable[..., Path], tmp_path: Path) -> None:
    path = train_file(steps=30, batch_size=6, sequence_length=32)
    plan = keep_plan(make_plan(load_config(path, {})))
    alone = {precision: steps_of(plan, {"precision": precision}, Ranks()) for precision in ("float64", "float32")}
    for world, cases in CASES.items():
        for case, many in zip(cases, by_ranks(world, path, tmp_path / "results"), strict=True):
            one, tolerance = alone[case["precision"]], EXACT if case["precision"] == "float64" else NEAR
            assert many.losses == pytest.approx(one.losses, rel=tolerance)
            assert many.norms == pytest.approx(one.norms, rel=10 * tolerance)
            assert many.checksums == one.checksums
            assert one.losses[-1] < one.losses[0] - 0.5
            for ours, theirs in zip(many.losses_by_source, one.losses_by_source, strict=True):
                assert ours == pytest.approx(theirs, rel=tolerance)
            assert many.held_out == pytest.approx(one.held_out, rel=tolerance)
            whole = torch.cat([gradient.flatten() for gradient in one.gradient])
            difference = whole - torch.cat([gradient.flatten() for gradient in many.gradient])
            assert difference.norm() <= EXACT * whole.norm(), case
