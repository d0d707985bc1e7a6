"""Proves from what a training left that each row was used exactly as promised, over restarts, worlds and continuations.

    train.toml, token folders ──▶ rows made anew ── plan.bin has the same
         checkpoints: phases ──▶ the order made anew ── each row once in an epoch, as the settings say
                                   └─▶ batch of each step ── metrics.jsonl: its checksum, tokens and sources
                                                          └─ checkpoints: the tokens so far

Nothing is believed because a file says so. Batches are made from the token folders, whose blocks have checksums; what
metrics and checkpoints record is compared with them. Reads all tokens that were trained on, as fast as
the loader makes batches.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

import numpy as np

from pretrain.continuing import forbidden_changes
from pretrain.metrics import BATCH_CHECKSUM, METRICS, Record, read_records
from pretrain.order.batch import Batch
from pretrain.order.blend import blend, continued
from pretrain.order.leaks import held_out_leaks
from pretrain.order.left_out import Windows, trained_places
from pretrain.order.loader import Loader
from pretrain.order.plan import SETTINGS, Phases, Plan, differing_keys, hash_of, load_training, make_plan
from pretrain.order.planned_rows import difference
from pretrain.state import CHECKPOINTS, STATE, TrainState, checkpoint_paths, read_state, step_of
from shards.errors import RunError, UserError
from shards.limits import check_limits
from shards.manifest import file_sha256

_PLACES = 1 << 20  # of the order that are counted at once


@dataclass(frozen=True)
class SourceUse:
    """The use of a source in the steps that were done."""

    source: str
    num_rows: int  # in an epoch
    num_used: int
    num_tokens: int  # labels trained on

    @property
    def epochs(self) -> float:
        return self.num_used / self.num_rows


@dataclass
class Proof:
    """What a verification found."""

    steps: int = 0
    tokens: int = 0
    num_checkpoints: int = 0
    num_unmarked: int = 0  # steps whose records have no checksum, as those of an earlier gristmill
    continued_from: int | None = 0  # the last step after which other weights or sources began; 0: none
    sources: list[SourceUse] = field(default_factory=list)
    num_left_out: int = 0  # rows, after spikes
    pending: list[str] = field(default_factory=list)  # settings of a continuation that no checkpoint has yet
    problems: list[str] = field(default_factory=list)  # a line each


def verify_run(training: Path) -> Proof:
    """Verify the training of a folder, or of a TRAIN.toml.

    UserError where there is no training or no checkpoint of it, UserError or RunError where a token folder cannot be
    planned from.
    """
    config = load_training(training)
    proof, out = Proof(), Path(config.out)
    states = _readable_states(out / CHECKPOINTS, proof.problems)
    proof.num_checkpoints = len(states)
    newest = max(states.values(), key=attrgetter("step"), default=None)
    if newest is None:
        raise UserError(f"{out}: has no checkpoint that can be read; a training is verified from its first one on")
    plan = make_plan(config, check=False, anew=True)
    if keys := forbidden_changes(newest.identity, plan.identity):  # every step would differ
        settings = training / SETTINGS if training.is_dir() else training
        proof.problems.append(
            f"{settings}: is not what the checkpoint of step {newest.step:,} was trained by; they differ in "
            f"{', '.join(keys)}"
        )
        return proof
    if keys := differing_keys(plan.identity, newest.identity):
        proof.pending = keys
        plan = make_plan(config, continued_from=newest.step, check=False, anew=True)
    if problem := difference(config, plan.planned):
        proof.problems.append(problem)
    proof.problems += [
        f"source {source}: {count:,} of its texts are held out as well"
        for source, count in held_out_leaks(plan).met.items()
    ]
    proof.continued_from = _continued_from(plan)
    proof.problems += _check_phases(plan, newest, states, proof.continued_from)
    records = read_records(out / METRICS)
    proof.steps = max([newest.step, *(record["step"] for record in records if record["step"] <= config.steps)])
    proof.num_left_out = int(np.searchsorted(plan.skipped, plan.first_place(proof.steps)))
    proof.problems += _check_once(plan, proof.steps)
    _check_steps(plan, records, states, proof)
    return proof


def _readable_states(folder: Path, problems: list[str]) -> dict[Path, TrainState]:
    """The states of checkpoints by path; those that a continuation set aside are of no step that was kept."""
    states = {}
    for path in checkpoint_paths(folder):
        try:
            states[path] = state = read_state(path)
        except RunError as error:
            problems.append(str(error))
        else:
            problems += _check_state(path, state)
    return states


def _check_state(path: Path, state: TrainState) -> Iterator[str]:
    if state.step != step_of(path):
        yield f"{path / STATE}: step {state.step:,} is not that of its folder"
    if state.phases and state.plan_hash != hash_of(state.identity, state.phases, state.left_out):
        yield f"{path / STATE}: its plan_hash is not that of its identity, phases and left_out; one of them was changed"
    for name, sha256 in state.sha256.items():
        try:
            is_whole = file_sha256(path / name) == sha256
        except OSError as error:
            check_limits(path / name, error)
            is_whole = False
        if not is_whole:
            yield f"{path / name}: is not as {STATE} says that it was written"


def _continued_from(plan: Plan) -> int | None:
    """The step from which on the plan's phases are those of its settings; None where they never are."""
    config, names = plan.config, [source.name for source in plan.sources]
    promised, recorded = (
        tuple(phase for phase in phases if phase.first < plan.num_places)
        for phases in (blend(config, [source.num_rows for source in plan.sources]), plan.mixture.phases)
    )
    if recorded == promised:
        return 0
    places = [phase.first for phase in recorded[1:]]
    fits = (place for place in places if continued(plan.phases, promised, names, place) == recorded)
    return next((plan.step_at(place) for place in fits), None)


def _check_phases(
    plan: Plan, newest: TrainState, states: dict[Path, TrainState], continued_from: int | None
) -> Iterator[str]:
    """The phases are those of the settings in the end, and older checkpoints have the same ones."""
    config = plan.config
    if continued_from is None:
        first, weights = plan.phases[-1]
        shown = ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
        yield (
            f"{Path(config.out) / CHECKPOINTS}: the weights from step {plan.step_at(first) + 1:,} on, {shown}, "
            f"are not those of {SETTINGS}"
        )
    for path, state in states.items():
        end = plan.first_place(min(state.step, newest.step))
        if state.phases and _begun(state.phases, end) != _begun(plan.phases, end):
            yield f"{path / STATE}: its phases are not those of step {newest.step:,} for the steps that both have done"
        if _begun_windows(state.left_out, end) != _begun_windows(plan.left_out, end):
            yield f"{path / STATE}: leaves other rows out than step {newest.step:,} in the steps that both have done"


def _begun(phases: Phases, end: int) -> list[tuple[int, dict[str, float]]]:
    """The phases that begin before a place; sources of weight 0 may be of later ones."""
    return [(first, {name: w for name, w in weights.items() if w}) for first, weights in phases if first < end]


def _begun_windows(windows: Windows, end: int) -> Windows:
    """The windows of places that begin before one."""
    return tuple(window for window in windows if window[0] < end)


def _check_once(plan: Plan, num_steps: int) -> Iterator[str]:
    """Each row stands once in every whole epoch of its source, and at most once in the one that has begun.

    It is in a step, or among those that are left out.
    """
    num_trained, num_places = num_steps * plan.config.batch_size, plan.first_place(num_steps)
    left_out = plan.skipped[plan.skipped < num_places]
    counts = plan.mixture.counts(num_places).tolist()
    for number, source in enumerate(plan.sources):
        uses = np.zeros(-(-counts[number] // source.num_rows) * source.num_rows, np.uint8)
        for first in range(0, num_trained, _PLACES):
            places = trained_places(np.arange(first, min(first + _PLACES, num_trained)), plan.skipped)
            of, epoch, row = plan.mixture.sample(np.append(places, left_out) if first == 0 else places)
            rows, times = np.unique((epoch * source.num_rows + row)[of == number], return_counts=True)
            uses[rows] += times.astype(np.uint8)
        whole = counts[number] // source.num_rows * source.num_rows
        wrong = np.flatnonzero((uses != 1) & ((np.arange(len(uses)) < whole) | (uses != 0)))
        if len(wrong):
            in_epoch, at = divmod(int(wrong[0]), source.num_rows)
            yield f"source {source.name}: row {at} is used {uses[wrong[0]]} times in epoch {in_epoch}, not once"


def _check_steps(plan: Plan, records: Sequence[Record], states: dict[Path, TrainState], proof: Proof) -> None:
    """Make the batch of each step and compare it with its record, and the sums with those of checkpoints."""
    path = Path(plan.config.out) / METRICS
    by_step: dict[int, list[Record]] = {}
    for record in records:
        by_step.setdefault(record["step"], []).append(record)
    proof.problems += [
        f"{path}: step {step:,} is none of the training" for step in sorted(by_step) if not 1 <= step <= proof.steps
    ]
    names, loader = [source.name for source in plan.sources], Loader(plan)
    num_labels = np.zeros(len(names), np.int64)
    for step in range(1, proof.steps + 1):
        try:
            batch = loader.batch(step - 1)
        except RunError as error:  # a damaged block of tokens
            proof.problems.append(f"step {step:,} cannot be made again: {error}")
            return
        num_labels += batch.labels_by_source(len(names))
        tokens, found = int(num_labels.sum()), by_step.get(step, [])
        if len(found) != 1:
            proof.problems.append(f"{path}: step {step:,} has {len(found)} records, expected 1")
        for record in found:
            proof.num_unmarked += BATCH_CHECKSUM not in record
            proof.problems += [f"{path}: step {step:,}: {why}" for why in _check_record(record, batch, names, tokens)]
        for at, state in states.items():
            if state.step == step and state.tokens != tokens:
                proof.problems.append(f"{at / STATE}: {state.tokens:,} tokens, the plan's steps have {tokens:,}")
            if state.step == step and found and state.loss not in (None, found[0].get("loss")):
                proof.problems.append(f"{at / STATE}: loss {state.loss}, in {METRICS} {found[0].get('loss')}")
    proof.tokens = int(num_labels.sum())
    used = plan.used(proof.steps).tolist()
    proof.sources = [
        SourceUse(source.name, source.num_rows, *of)
        for source, *of in zip(plan.sources, used, num_labels.tolist(), strict=True)
    ]


def _check_record(record: Record, batch: Batch, names: Sequence[str], tokens: int) -> Iterator[str]:
    """`tokens` are those of the plan up to and with this step."""
    checksum = f"{batch.checksum():016x}"
    if record.get(BATCH_CHECKSUM, checksum) != checksum:
        yield f"was trained on other rows than the plan has: checksum {record[BATCH_CHECKSUM]}, by the plan {checksum}"
    if record.get("tokens") != tokens:
        yield f"{record.get('tokens')} tokens so far, by the plan {tokens}"
    sources = {name for name, count in zip(names, batch.labels_by_source(len(names)), strict=True) if count}
    if (found := set(record.get("loss_by_source", ()))) != sources:
        yield f"has losses of {', '.join(sorted(found))}, by the plan of {', '.join(sorted(sources))}"
