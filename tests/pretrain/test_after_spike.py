from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pretrain.after_spike import roll_back, with_spike
from pretrain.config import load_config
from pretrain.order.plan import make_plan
from pretrain.state import TrainState, newest_state, write_state
from shards.errors import RunError


def test_the_rows_up_to_a_spike_are_left_out_of_the_plan(train_file: Callable[..., Path], tmp_path: Path) -> None:
    config = load_config(train_file(spikes={"left_out_steps": 2}), {})
    plan = make_plan(config)
    with pytest.raises(RunError, match=r"no checkpoint is left from before step 7; begin again in another out"):
        roll_back(plan, 7)
    checkpoints = tmp_path / "out" / "checkpoints"
    state = TrainState(step=4, tokens=1, plan_hash=plan.hash, identity=plan.identity, phases=plan.phases)
    for step in (4, 8):
        write_state(checkpoints / f"step-{step:08d}", state.model_copy(update={"step": step}))
    assert roll_back(plan, 8) == 4
    (checkpoints / "step-00000008" / "state.json").unlink()
    after = make_plan(config)
    assert after.left_out == ((24, 32),)
    newest = newest_state(checkpoints)
    assert newest is not None
    assert newest.plan_hash == after.hash != plan.hash
    for step, before in [(5, 5), (6, 8), (7, 9)]:  # steps 6 and 7, counted from 0, are those that are left out
        for ours, theirs in zip(after.rows_of_step(step), plan.rows_of_step(before), strict=True):
            assert (ours == theirs).all()


def test_a_window_begins_after_the_checkpoint(train_file: Callable[..., Path]) -> None:
    plan = make_plan(load_config(train_file(), {}))
    assert with_spike(plan, 5, 7, 8) == ((20, 28),)
    assert with_spike(replace(plan, left_out=((20, 28),)), 4, 6, 8) == ((16, 32), (20, 28))
