"""Going back to the newest checkpoint after a spike, without the rows that led to it.

    step         c checkpoint … s - n │ s - n + 1 … s spike      n = spikes.left_out_steps
    afterwards   c … s - n            │ (left out)   s - n + 1 … with the rows that come next

The checkpoint's state.json is written anew with what is left out. From then on a restart, a trace and a proof follow
the same order, and the training goes on as any training that is resumed.
"""

from dataclasses import replace
from pathlib import Path

from pretrain.order.left_out import Windows
from pretrain.order.plan import Plan
from pretrain.state import CHECKPOINTS, checkpoint_paths, read_state, step_of, write_state
from shards.errors import RunError


class RolledBack(Exception):
    """The training goes on from its newest checkpoint, by another plan."""


def roll_back(plan: Plan, step: int) -> int:
    """Leave the rows up to a spike at `step` out after the newest checkpoint; returns the step of that.

    RunError where there is no checkpoint before the spike.
    """
    folder = Path(plan.config.out) / CHECKPOINTS
    paths = [path for path in checkpoint_paths(folder) if step_of(path) < step]
    if not paths:
        raise RunError(f"{folder}: no checkpoint is left from before step {step}; begin again in another out")
    state = read_state(paths[-1])
    after = replace(plan, left_out=with_spike(plan, state.step, step, plan.config.spikes.left_out_steps))
    write_state(paths[-1], state.model_copy(update={"left_out": after.left_out, "plan_hash": after.hash}))
    return state.step


def with_spike(plan: Plan, checkpoint: int, step: int, num_steps: int) -> Windows:
    """The plan's windows and that of the last `num_steps` steps up to `step`, as far as they are after `checkpoint`."""
    window = (plan.first_place(max(checkpoint, step - num_steps)), plan.first_place(step))
    return tuple(sorted({*plan.left_out, window}))
