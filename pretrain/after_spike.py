"""What a training does after a spike: it names the documents, and then stops, goes on, or goes back.

    rollback, step   c checkpoint … s - n │ s - n + 1 … s spike      n = spikes.left_out_steps
    afterwards       c … s - n            │ (left out)   s - n + 1 … with the rows that come next

When it goes back, the checkpoint's state.json is written anew with what is left out. From then on a restart, a trace
and a proof follow the same order, and the training goes on as any training that is resumed.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pretrain.config import TrainConfig
from pretrain.metrics import EVALUATIONS, METRICS, MetricsFile
from pretrain.order.left_out import Windows
from pretrain.order.plan import Plan
from pretrain.ranks import Ranks
from pretrain.spikes import MAX_SKIPS, Spike
from pretrain.state import CHECKPOINTS, checkpoint_paths, newest_state, read_state, step_of, write_state
from pretrain.worst_documents import DocumentLoss, write_worst
from shards.errors import RunError

log = logging.getLogger(__name__)


class RolledBack(Exception):
    """The training goes on from its newest checkpoint, by another plan."""


def answer(spike: Spike, documents: Sequence[DocumentLoss], plan: Plan, ranks: Ranks, *, num_in_row: int = 1) -> None:
    """Write the worst documents of a spike and do as `spikes.action` says; called by all ranks.

    Returns where the step is skipped. RolledBack where the training goes back. RunError, with a remedy, where it stops:
    as it should, after `spikes.max_rollbacks` of them, or at the `MAX_SKIPS`-th spike in a row.
    """
    config = plan.config
    action, what, worst = config.spikes.action, f"step {spike.step}: {spike}", ""
    if ranks.leads:
        path, url = write_worst(Path(config.out), spike.step, documents, config.spikes.runs)
        worst = f"the document that raised the loss most is {url}, the others are in {path}" if url else f"see {path}"
    if action == "skip" and num_in_row < MAX_SKIPS:
        log.warning("event=spike_skipped %s; %s", what, worst)
    elif action == "rollback" and len(plan.left_out) < config.spikes.max_rollbacks:
        if ranks.leads:
            log.warning("event=spike_rolled_back %s; back to step %d; %s", what, roll_back(plan, spike.step), worst)
        ranks.wait()
        raise RolledBack
    else:
        raise RunError(f"{what}, and nothing was updated; {_remedy(spike, config)}; {worst}")


def _remedy(spike: Spike, config: TrainConfig) -> str:
    lower, again = f"--set optimizer.lr=… below {config.optimizer.lr:g}", "begin again in another out with"
    if spike.is_finite and config.spikes.action == "stop":
        return (
            "the same command leaves its rows out with --set spikes.action=rollback, skips the step with "
            "--set spikes.action=skip, or takes it as it is with a higher --set spikes.sigma"
        )
    newest = newest_state(Path(config.out) / CHECKPOINTS)
    if not spike.is_finite and spike.step == 1:  # no learning rate has had a say
        return "the initial weights give it; change [model] or optimizer.z_loss and begin again"
    if newest is None:
        return f"begin again with {lower}"
    if newest.step < spike.step - 1:
        return (
            f"the same command with --continue {lower} goes on from step {newest.step}; if that does not help, begin "
            "again in another out"
        )
    return f"{again} {lower}"  # the weights give a spike, whatever the learning rate


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
    for name in (METRICS, EVALUATIONS):  # first: the records of later steps are of the order as it was
        with MetricsFile(Path(plan.config.out) / name, state.step, lambda record: None):
            pass
    of_plan = {"identity": after.identity, "phases": after.phases, "left_out": after.left_out, "plan_hash": after.hash}
    write_state(paths[-1], state.model_copy(update=of_plan))
    return state.step


def with_spike(plan: Plan, checkpoint: int, step: int, num_steps: int) -> Windows:
    """The plan's windows and that of the last `num_steps` steps up to `step`, as far as they are after `checkpoint`."""
    window = (plan.first_place(max(checkpoint, step - num_steps)), plan.first_place(step))
    return tuple(sorted({*plan.left_out, window}))
