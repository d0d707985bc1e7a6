"""The training loop.

    plan ──▶ for each step: batch ──▶ micro-batches: forward, loss, backward ──▶ clip, AdamW ──▶ a line of metrics.jsonl

    OUT/train.toml      the settings with all defaults and overrides
        metrics.jsonl   one line a step: step, loss, tokens, tokens_per_s, loss_by_source, …
        held_out.jsonl  one line an evaluation: step, held_out_bits_per_byte by source
        checkpoints/    a rerun of the same command continues from the newest one

The same code runs on CPU in float32 and on CUDA in bfloat16 with float32 weights. On one machine a run that was stopped
and resumed has the losses of one that was not, bit for bit.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tomli_w
import torch

from pretrain.attention import choose_kernel
from pretrain.checkpoint import Checkpoints, is_due, set_aside
from pretrain.config import load_config
from pretrain.continuing import check_continued, continuation_step
from pretrain.cpu_threads import use_cores_at_hand
from pretrain.evaluate import HeldOut, bits_per_byte, choose_held_out
from pretrain.metrics import BATCH_CHECKSUM, EVALUATIONS, METRICS, MetricsFile, Record, read_records
from pretrain.model import Model
from pretrain.optim import Optimizer, make_optimizer
from pretrain.order.batch import Batch
from pretrain.order.loader import Loader
from pretrain.order.plan import SETTINGS, Plan, differing_keys, held_out_documents, keep_plan, make_plan
from pretrain.presets import dial_lines
from pretrain.schedule import picture, plateau_end
from pretrain.state import CHECKPOINTS, TrainState, newest_state, recorded_identity
from pretrain.step import StepResult, train_step
from shards.atomic import write_bytes
from shards.errors import Interrupted, UserError
from shards.lock import locked
from shards.stop_signal import Stop, stop_on_signal
from shards.token_manifest import verify_tokens

log = logging.getLogger(__name__)

PEAK_FLOPS = 989e12  # dense bfloat16 of an H100 or H200, from NVIDIA's data sheet


@dataclass(frozen=True)
class TrainSummary:
    """The result of a finished training."""

    out: Path
    steps: int
    tokens: int  # labels trained on
    loss: float | None  # of the last step; None where a checkpoint of an earlier version does not record it
    num_parameters: int
    held_out_before: dict[str, float]  # bits per byte by source
    held_out_after: dict[str, float]


def train_model(
    config_path: Path,
    *,
    overrides: Mapping[str, str],
    progress: Callable[[Record], None],
    verify: bool = False,
    continued: bool = False,
) -> TrainSummary:
    """Train as TRAIN.toml says, from the newest checkpoint in its `out` if there is one.

    `progress` is called with each record as it is written. `verify` reads all token files first; without it each block
    is checked when it is first read. With `continued`, steps, weights and sources may be others than those of the
    checkpoints, and what was trained on stays as it is. Ctrl-C or SIGTERM ends the step, saves a checkpoint and raises
    `Interrupted`; a second one stops at once. UserError or RunError, before the first step, where settings, token
    folders and checkpoints do not fit together or are damaged.
    """
    config = load_config(config_path, overrides)
    device = _choose_device(config.device)
    kernel = choose_kernel(device, config.model.positions)
    use_cores_at_hand()
    if verify:
        for source in config.source.values():
            verify_tokens(source.folder)
    continued_from = continuation_step(config) if continued else None
    plan = make_plan(config, continued_from=continued_from)
    with locked(Path(config.out), elsewhere="out") as lease:
        if continued_from is None:
            _check_same_plan(plan)
        else:
            _set_aside(plan, continued_from)
        plan = keep_plan(plan)
        torch.manual_seed(config.seed)
        with torch.device("meta"):
            model = Model(config.model, plan.vocab_size, config.optimizer.z_loss)
        model.to_empty(device=device).initialise(config.seed)
        optimizer = make_optimizer(model, config.optimizer)
        if config.compile:
            model.compile()
        with stop_on_signal() as stop:
            log.info('event=attention kernel="%s"', kernel)
            return _train(plan, model, optimizer, lease.checked(progress), stop)


def _train(
    plan: Plan, model: Model, optimizer: Optimizer, progress: Callable[[Record], None], stop: Stop
) -> TrainSummary:
    """Train the initial model from the newest checkpoint to the last step, evaluating and saving on the way."""
    config, out = plan.config, Path(plan.config.out)
    num_rows, source_names = config.micro_batch_rows, [source.name for source in plan.sources]
    held_out = _choose_held_out(plan)
    evaluations = _recorded_evaluations(out / EVALUATIONS, held_out)
    initial_is_recorded = 0 in evaluations
    if not initial_is_recorded:  # now, since a checkpoint replaces the initial weights
        evaluations[0] = bits_per_byte(model, held_out, num_rows)

    plateau = plateau_end(config.steps, config.optimizer) if config.optimizer.schedule == "wsd" else None
    checkpoints = Checkpoints(  # of the plateau, from where a longer training may go on, one is kept
        out / CHECKPOINTS, model, optimizer, config.checkpoint, keep_up_to=plateau
    )
    state = checkpoints.load_newest()
    beginning = TrainState(step=0, tokens=0, plan_hash=plan.hash, identity=plan.identity, phases=plan.phases)
    if state is None:
        state = beginning
    else:  # of the same plan, or one that this one continues
        state = beginning.model_copy(update={"step": state.step, "tokens": state.tokens, "loss": state.loss})
    first_step = state.step
    write_bytes(out / SETTINGS, tomli_w.dumps(config.model_dump(exclude_none=True)).encode())
    _log_start(plan, model, first_step)

    with (
        MetricsFile(out / METRICS, first_step, progress) as metrics,
        MetricsFile(out / EVALUATIONS, first_step, progress) as evaluation_metrics,
        checkpoints,
    ):
        _warn_of_lost_records(metrics, first_step)
        if not initial_is_recorded:
            evaluation_metrics.append(_evaluation_record(0, evaluations[0]))
        batches = _batches(Loader(plan), first_step, config.steps, is_pinned=model.head_VC.is_cuda)
        last_saved, is_first = time.monotonic(), state.step == 0
        while True:  # once more than there are steps left: to evaluate and save after the last one
            step, is_new, is_last = state.step, state.step > first_step, state.step == config.steps

            evaluation_is_due = is_last or (is_new and config.eval_every and step % config.eval_every == 0)
            if evaluation_is_due and (is_new or step not in evaluations):
                with optimizer.averaged():
                    evaluations[step] = bits_per_byte(model, held_out, num_rows)
                evaluation_metrics.append(_evaluation_record(step, evaluations[step]))

            is_stopped = is_new and stop.is_set
            minutes = (time.monotonic() - last_saved) / 60
            if is_new and (is_last or is_stopped or is_due(step, minutes, is_first, config.checkpoint)):
                metrics.sync()
                evaluation_metrics.sync()
                checkpoints.save(state)
                last_saved, is_first = time.monotonic(), False
            checkpoints.check()
            if is_last:
                break
            if is_stopped:
                checkpoints.wait()
                raise Interrupted(
                    f"stopped after step {step} of {config.steps}, checkpoint saved; the same `gristmill pretrain` "
                    "continues from there"
                )

            started = time.perf_counter()  # waiting for a batch counts; evaluating and saving do not
            batch = next(batches)
            result = train_step(model, optimizer, batch, step=step + 1, config=config, source_names=source_names)
            seconds = time.perf_counter() - started
            tokens = state.tokens + batch.num_labels
            state = state.model_copy(update={"step": step + 1, "tokens": tokens, "loss": result.loss})
            metrics.append(_step_record(state, result, _speed(model, batch, seconds), batch))

    return TrainSummary(
        out=out,
        steps=state.step,
        tokens=state.tokens,
        loss=state.loss,
        num_parameters=model.num_parameters(),
        held_out_before=evaluations[0],
        held_out_after=evaluations[state.step],
    )


def _choose_device(wanted: Literal["auto", "cpu", "cuda"]) -> torch.device:
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError('device = "cuda": torch sees no CUDA device; use device = "auto" or "cpu"')
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def _check_same_plan(plan: Plan) -> None:
    """UserError where the checkpoints in `out` were trained by another plan."""
    out = Path(plan.config.out)
    identity = recorded_identity(out / CHECKPOINTS)
    if identity and (keys := differing_keys(plan.identity, identity)):
        raise UserError(
            f"{out}: its checkpoints were trained with other settings; they differ in {', '.join(keys)}; "
            "set them back, choose another out, or use --continue where steps, weights or sources are to change"
        )


def _set_aside(plan: Plan, step: int) -> None:
    """Set the checkpoints after `step` aside; UserError where the training may not be continued by this plan."""
    folder = Path(plan.config.out) / CHECKPOINTS
    state = newest_state(folder)
    assert state is not None
    check_continued(plan, state)
    if state.step > step:
        log.warning("event=continued step=%d: checkpoints of later steps are set aside as left-*", step)
        set_aside(folder, step)


def _choose_held_out(plan: Plan) -> list[HeldOut]:
    """The held-out documents to evaluate; sources that have none, or only empty ones, are named in a warning."""
    config = plan.config
    held_out = [
        choose_held_out(name, documents, config.sequence_length, config.eval_max_tokens)
        for name, documents in held_out_documents(plan).items()
    ]
    measured = [h for h in held_out if h.num_bytes]
    if missing := sorted(config.source.keys() - {h.source for h in measured}):
        log.warning("event=not_measured source=%s: no text of it is held out (tokenize --held-out)", ",".join(missing))
    return measured


def _recorded_evaluations(path: Path, held_out: Sequence[HeldOut]) -> dict[int, dict[str, float]]:
    """Bits per byte by step and source, from the records that have exactly the sources of `held_out`."""
    sources = {h.source for h in held_out}
    by_step = {record["step"]: record.get("held_out_bits_per_byte") for record in read_records(path)}
    return {step: values for step, values in by_step.items() if isinstance(values, dict) and values.keys() == sources}


def _log_start(plan: Plan, model: Model, step: int) -> None:
    config = plan.config
    for line in [*plan.describe(), *dial_lines(config.model_dump())]:
        log.info("event=plan %s", line)
    log.info("event=plan lr %s %g at most", picture(config.steps, config.optimizer), config.optimizer.lr)
    device = model.head_VC.device
    log.info("event=start step=%d parameters=%d device=%s plan=%s", step, model.num_parameters(), device, plan.hash)


def _warn_of_lost_records(metrics: MetricsFile, num_steps: int) -> None:
    if metrics.num_kept < num_steps:
        log.warning("event=records_lost file=%s: %d of its first %d steps", metrics.path, metrics.num_kept, num_steps)


def _batches(loader: Loader, first: int, end: int, *, is_pinned: bool) -> Iterator[Batch]:
    buffers = [torch.empty(loader.buffer_length, dtype=torch.int32, pin_memory=is_pinned).numpy() for _ in range(3)]
    return loader.batches(first, end, buffers)


def _evaluation_record(step: int, values: dict[str, float]) -> Record:
    return {"step": step, "held_out_bits_per_byte": values}


def _step_record(state: TrainState, result: StepResult, speed: Record, batch: Batch) -> Record:
    record = {"step": state.step, "loss": result.loss, "tokens": state.tokens, "lr": result.lr}
    evidence = {"loss_by_source": result.loss_by_source, BATCH_CHECKSUM: f"{batch.checksum():016x}"}
    return record | {"grad_norm": result.grad_norm} | speed | evidence


def _speed(model: Model, batch: Batch, seconds: float) -> Record:
    flops = model.training_flops(batch.num_labels, batch.sum_squared_lengths()) / seconds
    speed = {"tokens_per_s": batch.num_labels / seconds, "tflop_per_s": flops / 1e12}
    return speed | ({"mfu": flops / PEAK_FLOPS} if model.head_VC.is_cuda else {})
