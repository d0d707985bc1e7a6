"""The training loop.

    plan ──▶ for each step: batch ──▶ micro-batches: forward, loss, backward ──▶ clip, AdamW ──▶ a line of metrics.jsonl

    OUT/checkpoints/    a rerun of the same command continues from the newest one
        …               the other files are those of `pretrain.journal` and `pretrain.order`

The same code runs on CPU in float32 and on CUDA in bfloat16 with float32 weights, in one process or in many. On one
machine a run that was stopped and resumed has the losses of one that was not, bit for bit.
"""

import gc
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from pretrain.after_spike import RolledBack, answer
from pretrain.attention import choose_kernel
from pretrain.checkpoint import Checkpoints, is_due
from pretrain.config import load_config
from pretrain.continuing import check_same_plan, continuation_step, first_state, set_later_aside
from pretrain.cpu_threads import use_cores_at_hand
from pretrain.evaluate import bits_per_byte, held_out_of, recorded_evaluations
from pretrain.hardware import Machine
from pretrain.initial_weights import begin_with
from pretrain.journal import Clock, Journal, step_record
from pretrain.metrics import EVALUATIONS, Record
from pretrain.model import Model
from pretrain.modes import deterministic, quiet_collector
from pretrain.monitor import Monitor, matmul_dtype, record_start
from pretrain.optim import make_optimizer
from pretrain.order.batch import Batch
from pretrain.order.groups import Groups
from pretrain.order.loader import Loader
from pretrain.order.plan import Plan, keep_plan, make_plan
from pretrain.parallel import choose_device, spread_model
from pretrain.ranks import Ranks, joined
from pretrain.rows_at_once import choose_rows
from pretrain.samples import sampler_of
from pretrain.schedule import plateau_end
from pretrain.spikes import Spikes, fresh_steps
from pretrain.state import CHECKPOINTS, checkpoint_paths
from pretrain.step import NO_WISHES, Launched, Steps, Wishes
from pretrain.task_evaluation import tasks_of
from pretrain.trackers import check_trackers, trackers
from pretrain.worst_documents import measure_documents
from shards.errors import Interrupted
from shards.lock import locked
from shards.stop_signal import Stop, stop_on_signal
from shards.token_manifest import TOKENIZER, verify_tokens

log = logging.getLogger(__name__)


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
    planned: Callable[[Plan], None] = lambda plan: None,
    verify: bool = False,
    continued: bool = False,
) -> TrainSummary:
    """Train as TRAIN.toml says, from the newest checkpoint in its `out` if there is one.

    Every process that torchrun starts calls this (`pretrain.ranks`). In the one that leads, `planned` is called with
    the plan before the first step, and `progress` with each record as it is written. `verify` reads all token files
    first; without it each block is checked when it is first read. With `continued`, steps, weights, sources and the
    learning rate may be others than those of the checkpoints, and what was trained on stays as it is. Ctrl-C or
    SIGTERM ends the step, saves a checkpoint and raises `Interrupted`; a second one stops at once. UserError or
    RunError, before the first step, where settings, token folders and checkpoints do not fit together or are damaged;
    RunError where a loss or a gradient norm is not finite.
    """
    with joined() as ranks, ExitStack() as stack:
        config = load_config(config_path, overrides)
        check_trackers(config)
        device = choose_device(config.device.kind, ranks)
        kernel = choose_kernel(device, config.model.positions)
        ranks.rows_of(config.batch_size)
        use_cores_at_hand()
        if verify and ranks.leads:
            for source in config.source.values():
                verify_tokens(source.folder)
        with ranks.leader_first():
            continued_from = continuation_step(config) if continued else None
            plan = make_plan(config, continued_from=continued_from)
            if ranks.leads:
                lease = stack.enter_context(locked(Path(config.out), elsewhere="out"))
                progress = lease.checked(progress)
                if continued_from is None:
                    check_same_plan(plan)
                else:
                    set_later_aside(plan, continued_from)
            plan = keep_plan(plan)
        if ranks.leads:
            planned(plan)
        log.info('event=attention kernel="%s"', kernel)
        stack.enter_context(deterministic(config.deterministic))
        # torchrun may pass a signal on that came from the terminal already.
        stop = stack.enter_context(stop_on_signal(None if ranks.world == 1 else lambda: None))
        while True:
            try:
                return _train(plan, device, ranks, progress, stop)
            except RolledBack:
                plan = keep_plan(make_plan(config))


def _train(
    plan: Plan, device: torch.device, ranks: Ranks, progress: Callable[[Record], None], stop: Stop
) -> TrainSummary:
    """Train a new model from the newest checkpoint to the last step, evaluating and saving on the way."""
    config, out = plan.config, Path(plan.config.out)
    torch.manual_seed(config.seed)
    with torch.device("meta"):
        model = Model(config.model, plan.vocab_size, config.optimizer.z_loss)
    spread = spread_model(model, config.device, ranks, device, seed=config.seed)
    if config.init is not None and not checkpoint_paths(out / CHECKPOINTS):
        begin_with(Path(config.init), model, plan.sources[0].folder / TOKENIZER)
    optimizer = make_optimizer(model, config.optimizer)
    groups = Groups.of(plan.sources)
    loader = Loader(plan, ranks.rank, ranks.world, groups=groups)
    num_rows = choose_rows(spread, loader.batch(0), config, ranks)
    held_out, tasks = held_out_of(plan), tasks_of(plan, spread)
    evaluations = recorded_evaluations(out / EVALUATIONS, held_out)
    initial_is_recorded = 0 in evaluations
    if config.evaluate.first and not initial_is_recorded:  # now, since a checkpoint replaces the initial weights
        evaluations[0] = bits_per_byte(spread, held_out, num_rows, ranks)

    plateau = plateau_end(config.steps, config.optimizer) if config.optimizer.schedule == "wsd" else None
    checkpoints = Checkpoints(  # of the plateau, from where a longer training may go on, one is kept
        out / CHECKPOINTS, model, optimizer, config.checkpoint, keep_up_to=plateau
    )
    loaded = checkpoints.load_newest()
    state = first_state(plan, loaded)
    first_step = state.step
    begins = [(plan.step_at(first), weights) for first, weights in plan.phases]
    spikes = Spikes(config.spikes, state.recent, fresh_steps(begins))
    log.info("event=start step=%d parameters=%d device=%s", first_step, model.num_parameters(), spread.device)

    machine = Machine.measured(spread.device, matmul_dtype(config.device, spread.device), ranks.world)
    monitor, sampler = Monitor(machine, spread.device), sampler_of(plan, spread) if ranks.leads else None
    steps = Steps(spread, optimizer, config, groups, ranks, num_rows)
    clock = Clock(config.checkpoint, is_first=state.step == 0)
    with (
        trackers(config, first_step, progress, is_leader=ranks.leads) as progress,
        Journal(config, first_step, progress, is_leader=ranks.leads) as journal,
        checkpoints,
        quiet_collector(),
    ):
        if ranks.leads and first_step < config.steps:
            record_start(plan, first_step, model, machine, progress)
        if 0 in evaluations and not initial_is_recorded:
            journal.evaluated(0, evaluations[0])
        if loaded is None and config.spikes.action == "rollback":
            checkpoints.save(state)  # to go back to

        def finish(one: Launched) -> Wishes:
            """Read the figures of a step that was launched, write its record, and return what the ranks wish."""
            nonlocal state
            result = steps.read(one)
            figures = (result.step, result.loss, result.grad_norm)
            if spike := spikes.observe(*figures, is_spike=not result.is_updated):
                checkpoints.wait()  # the answer depends on which there are
                documents = measure_documents(plan, loader, spread, ranks, step=result.step - 1, num_rows=num_rows)
                answer(spike, documents, plan, ranks, num_in_row=spikes.num_in_row)
            tokens = state.tokens + result.num_labels
            state = state.model_copy(update={"step": result.step, "tokens": tokens, "loss": result.loss})
            record = step_record(state, result, clock.lap(result.ended_at), model, monitor)
            journal.done(record | ({"skipped": True} if spike else {}))
            return result.wishes

        def evaluate() -> None:
            """Measure the held-out documents, by the averaged weights where there are some."""
            with optimizer.averaged():
                evaluations[state.step] = bits_per_byte(spread, held_out, num_rows, ranks)
                of_tasks = tasks.figures(spread, ranks)
            journal.evaluated(state.step, evaluations[state.step], of_tasks)

        def wishes() -> Wishes:
            return Wishes(stop=stop.is_set, save=ranks.leads and clock.is_checkpoint_due())

        launched: Launched | None = None
        batches = _batches(loader, first_step, config.steps, is_pinned=spread.device.type == "cuda")
        for step, batch in enumerate(clock.waits(batches), first_step + 1):
            previous, launched = launched, steps.launch(batch, step, wishes(), spikes.limits(step))
            agreed = finish(previous) if previous else NO_WISHES
            agreed = agreed if ranks.world > 1 else wishes()  # one rank need not wait to hear its own
            is_last = step == config.steps
            evaluates = is_last or (config.evaluate.every and step % config.evaluate.every == 0)
            saves = is_last or agreed.stop or agreed.save or is_due(step, config.checkpoint)
            samples = config.monitor.sample_every and (is_last or step % config.monitor.sample_every == 0)
            checkpoints.check()
            if not (evaluates or saves or samples):
                continue

            finish(launched)  # the device has nothing left to do
            launched = None
            if evaluates:
                evaluate()
            if samples and sampler is not None:
                with optimizer.averaged():
                    journal.sampled(sampler.records(model, step, autocast=spread.autocast))
            if saves:
                journal.sync()
                checkpoints.save(state.model_copy(update={"recent": spikes.recent}))
                gc.collect()
                clock.saved()
            if agreed.stop and not is_last:
                checkpoints.wait()
                raise Interrupted(
                    f"stopped after step {step} of {config.steps}, checkpoint saved; the same `gristmill pretrain` "
                    "continues from there"
                )
            clock.restart()

        if state.step not in evaluations:  # of a finished training whose records are lost
            evaluate()

    return TrainSummary(
        out=out,
        steps=state.step,
        tokens=state.tokens,
        loss=state.loss,
        num_parameters=model.num_parameters(),
        held_out_before=evaluations.get(0, {}),
        held_out_after=evaluations[state.step],
    )


def _batches(loader: Loader, first: int, end: int, *, is_pinned: bool) -> Iterator[Batch]:
    """The batches from step `first` on, in three buffers: that of step n is filled again after n has been read."""
    buffers = [torch.empty(loader.buffer_length, dtype=torch.int32, pin_memory=is_pinned).numpy() for _ in range(3)]
    return loader.batches(first, end, buffers)
