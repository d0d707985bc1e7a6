"""Continuing a training with other steps, weights, sources or learning rate: what it has consumed stays as it is.

    steps       1 …… S │ S + 1 ………
    order       as its checkpoint records it │ as TRAIN.toml says now

A cosine changes its slope at S. A "wsd" training of other steps goes on from its plateau, where it is the same, step
for step, as one that had these steps from the beginning; the decay that it had is set aside.
"""

import logging
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pretrain.config import TrainConfig
from pretrain.order.plan import Plan, differing_keys
from pretrain.schedule import plateau_end
from pretrain.state import CHECKPOINTS, TrainState, checkpoint_paths, newest_state, recorded_identity, step_of
from shards.errors import UserError

log = logging.getLogger(__name__)

_MAY_CHANGE = re.compile(r"steps|optimizer\.lr|mixture\..+|source\.[^.]+\.(weight|max_epochs)")


def continuation_step(config: TrainConfig) -> int:
    """The step from which the training in `out` continues. UserError where it has no checkpoint to continue from."""
    out = Path(config.out)
    state = newest_state(out / CHECKPOINTS)
    if state is None:
        raise UserError(f"{out}: has no checkpoint to continue from; leave --continue out")
    steps = state.identity.get("steps", config.steps)
    last = state.step
    if config.optimizer.schedule == "wsd" and steps != config.steps:
        last = min(last, plateau_end(steps, config.optimizer), plateau_end(config.steps, config.optimizer))
    if config.steps <= last:
        raise UserError(f"{out}: was trained for {last:,} steps already; steps {config.steps:,} must be more")
    possible = [step for step in map(step_of, checkpoint_paths(out / CHECKPOINTS)) if step <= last]
    if not possible:
        raise UserError(
            f"{out}: no checkpoint is left of its plateau, the first {last:,} steps; a training of other steps cannot "
            "go on from its decay; choose another out"
        )
    return possible[-1]


def first_state(plan: Plan, loaded: TrainState | None) -> TrainState:
    """The state from which training goes on by this plan; `loaded` is of the same plan or one that it continues."""
    beginning = TrainState(
        step=0,
        tokens=0,
        plan_hash=plan.hash,
        identity=plan.identity,
        phases=plan.phases,
        left_out=plan.left_out,
        tokenizer_sha256=plan.sources[0].manifest.tokenizer_sha256,
    )
    kept = loaded.model_dump(include={"step", "tokens", "loss", "recent"}) if loaded else {}
    return beginning.model_copy(update=kept)


def check_same_plan(plan: Plan) -> None:
    """UserError where the checkpoints in `out` were trained by another plan."""
    out = Path(plan.config.out)
    identity = recorded_identity(out / CHECKPOINTS)
    if identity and (keys := differing_keys(plan.identity, identity)):
        raise UserError(
            f"{out}: its checkpoints were trained with other settings; they differ in {', '.join(keys)}; "
            "set them back, choose another out, or use --continue where steps, weights or sources are to change"
        )


def set_later_aside(plan: Plan, step: int) -> None:
    """Rename the checkpoints of steps above `step`, from which the training continues; UserError where it may not be
    continued by this plan."""
    folder = Path(plan.config.out) / CHECKPOINTS
    state = newest_state(folder)
    assert state is not None
    check_continued(plan, state)
    if state.step > step:
        log.warning("event=continued step=%d: checkpoints of later steps are set aside as left-*", step)
    for path in checkpoint_paths(folder):
        if step_of(path) > step:
            shutil.rmtree(left := path.with_name(f"left-{path.name}"), ignore_errors=True)
            path.rename(left)


def check_continued(plan: Plan, state: TrainState) -> None:
    """UserError where settings differ from the checkpoint's that a continued training must keep."""
    out, keys = plan.config.out, forbidden_changes(state.identity, plan.identity)
    if removed := [key for key in keys if key.endswith(".tokens") and key not in plan.identity]:
        name = removed[0].removeprefix("source.").removesuffix(".tokens")
        raise UserError(f"{out}: was trained on source {name}, which is missing; keep it, with weight = 0 if need be")
    if keys:
        raise UserError(
            f"{out}: --continue may change steps, weights, sources and optimizer.lr; its checkpoints also differ in "
            f"{', '.join(keys)}; set them back, or choose another out"
        )


def forbidden_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The keys in which the identity of a continued training differs from the one before and must not."""
    added = tuple(
        key.removesuffix("tokens") for key in new if re.fullmatch(r"source\.[^.]+\.tokens", key) and key not in old
    )
    keys = differing_keys(dict(new), dict(old))
    return [key for key in keys if not _MAY_CHANGE.fullmatch(key) and not key.startswith(added)]
