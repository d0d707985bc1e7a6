"""The training loop.

    plan ──▶ for each step: batch ──▶ micro-batches: forward, loss, backward ──▶ clip, AdamW ──▶ a line of metrics.jsonl

    OUT/train.toml      the settings with all defaults and overrides
        metrics.jsonl   one line a step: step, loss, tokens, tokens_per_s, loss_by_source, …
        held_out.jsonl  one line a measurement: step, held_out_bits_per_byte by source
        checkpoints/    what a rerun of the same command goes on from

The same code runs on CPU in float32 and on CUDA in bfloat16 with float32 weights. On one machine a run that was stopped
and resumed gives the losses of one that was not, bit for bit.
"""

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal

import tomli_w
import torch
from torch import Tensor

from pretrain.attention import Documents
from pretrain.checkpoint import load_newest, save_checkpoint
from pretrain.config import TrainConfig, load_config
from pretrain.evaluate import bits_per_byte, choose_held_out
from pretrain.loss import token_losses
from pretrain.metrics import MetricsFile, Record, read_records
from pretrain.model import Model
from pretrain.optim import learning_rate, make_optimizer
from pretrain.order.loader import Batch, Loader
from pretrain.order.plan import SETTINGS, Plan, differing_keys, held_out_documents, make_plan
from pretrain.state import CHECKPOINTS, TrainState, recorded_identity
from shards.atomic import write_bytes
from shards.errors import Interrupted, RunError, UserError
from shards.lock import locked
from shards.tokens import verify_tokens

log = logging.getLogger(__name__)

MAX_MASK = 1 << 31  # bytes of the attention mask on CPU, a byte for each pair of positions in a row
PEAK_FLOPS = 989e12  # dense bfloat16 of an H100 or H200, from NVIDIA's data sheet


@dataclass(frozen=True)
class TrainSummary:
    """What a finished run came to."""

    out: Path
    steps: int
    tokens: int
    loss: float | None  # of the last step; None where a checkpoint of an earlier version does not say
    num_parameters: int
    held_out_before: dict[str, float]  # bits per byte by source
    held_out_after: dict[str, float]


def train(config_path: Path, *, overrides: Mapping[str, str], progress: Callable[[Record], None]) -> TrainSummary:
    """Train as the file says, from the newest checkpoint in its `out` if there is one.

    `progress` gets each record as it is written. Ctrl-C or SIGTERM ends the step, saves a checkpoint and raises
    `Interrupted`; a second one stops at once.
    """
    config = load_config(config_path, overrides)
    device = choose_device(config.device)
    _check_mask(config, device)
    for source in config.source.values():
        verify_tokens(Path(source.tokens))
    plan = make_plan(config)
    with locked(Path(config.out), elsewhere="out"):
        return _train(plan, device, config_path, progress)


def _train(plan: Plan, device: torch.device, config_path: Path, progress: Callable[[Record], None]) -> TrainSummary:
    config, loader, out = plan.config, Loader(plan), Path(plan.config.out)
    checkpoints, held_out_path = out / CHECKPOINTS, out / "held_out.jsonl"
    num_rows = config.micro_batch_size or config.batch_size
    _check_same_plan(plan, out)

    torch.manual_seed(config.seed)
    model = Model(config.model, plan.vocab_size).to(device)
    optimizer = make_optimizer(model, config.optimizer)
    if config.compile:
        model.compile()
    held_out = [
        choose_held_out(name, documents, config.sequence_length, config.eval_max_tokens)
        for name, documents in held_out_documents(plan).items()
    ]
    held_out = [h for h in held_out if h.num_bytes]  # all that were chosen may be empty texts
    with _stop_on_signal() as stop:
        measured = _measured(held_out_path, {h.source for h in held_out})
        measured_before = 0 in measured
        if not measured_before:  # the model is as it begins only until a checkpoint is loaded
            measured[0] = bits_per_byte(model, held_out, num_rows)
        state = load_newest(checkpoints, model, optimizer)
        if state is None:
            state = TrainState(step=0, tokens=0, plan_hash=plan.hash, identity=plan.identity)
        write_bytes(out / SETTINGS, tomli_w.dumps(config.model_dump(exclude_none=True)).encode())
        for line in plan.describe():
            log.info("event=plan %s", line)
        log.info(
            "event=start step=%d parameters=%d device=%s plan=%s", state.step, model.num_parameters(), device, plan.hash
        )
        with (
            MetricsFile(out / "metrics.jsonl", state.step) as metrics,
            MetricsFile(held_out_path, state.step) as measurements,
        ):

            def tell(step: int) -> None:
                record = {"step": step, "held_out_bits_per_byte": measured[step]}
                measurements.append(record)
                progress(record)

            if metrics.num_kept < state.step:
                log.warning(
                    "event=records_lost file=%s: %d of its first %d steps", metrics.path, metrics.num_kept, state.step
                )
            if not measured_before:
                tell(0)
            began = time.perf_counter()
            for step, batch in _batches(loader, state.step, config.steps):
                loss_sums = accumulate(model, batch, num_rows, len(plan.sources)).tolist()
                loss = sum(loss_sums) / max(1, batch.num_labels)  # 0 where a step has masked tokens only
                if not math.isfinite(loss):
                    raise RunError(
                        f"step {step}: the loss is {loss}; lower optimizer.lr, or see with `gristmill trace` what the "
                        f"step was trained on; the newest checkpoint is of a step before"
                    )
                grad_norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.max_grad_norm)
                lr = learning_rate(step, config.steps, config.optimizer)
                for group in optimizer.param_groups:
                    group["lr"] = lr
                optimizer.step()
                optimizer.zero_grad()
                record = {"step": step, "loss": loss, "tokens": state.tokens + batch.num_labels}
                record |= {"lr": lr, "grad_norm": float(grad_norm)}
                record |= _speed(model, batch, time.perf_counter() - began)
                record["loss_by_source"] = {
                    source.name: loss_sum / count
                    for source, loss_sum, count in zip(
                        plan.sources, loss_sums, batch.labels_by_source(len(plan.sources)).tolist(), strict=True
                    )
                    if count
                }
                metrics.append(record)
                progress(record)

                state = state.model_copy(update={"step": step, "tokens": record["tokens"], "loss": loss})
                last = step == config.steps
                if last or (config.eval_every and step % config.eval_every == 0):
                    measured[step] = bits_per_byte(model, held_out, num_rows)
                    tell(step)
                if last or stop.is_set() or step % config.checkpoint_every == 0:
                    metrics.sync()
                    measurements.sync()
                    save_checkpoint(checkpoints, state, model, optimizer, keep=config.keep_checkpoints)
                if stop.is_set() and not last:
                    raise Interrupted(
                        f"stopped after step {step} of {config.steps}, checkpoint saved; "
                        f"`gristmill pretrain {config_path}` with the same settings goes on from there"
                    )
                began = time.perf_counter()  # so that waiting for a batch counts, and measuring and saving do not
            if state.step not in measured:  # a finished run whose measurements were lost
                measured[state.step] = bits_per_byte(model, held_out, num_rows)
                tell(state.step)
    return TrainSummary(
        out=out,
        steps=state.step,
        tokens=state.tokens,
        loss=state.loss,
        num_parameters=model.num_parameters(),
        held_out_before=measured[0],
        held_out_after=measured[state.step],
    )


def accumulate(model: Model, batch: Batch, num_rows: int, num_sources: int) -> Tensor:
    """Add the gradient of the batch's mean loss, `num_rows` rows at a time; float64[sources] sums of losses.

    The mean is over all labels of the batch, not of a micro-batch, so `num_rows` does not change the gradient.
    """
    device = model.head_VC.device
    sums = torch.zeros(num_sources, dtype=torch.float64, device=device)
    for part in batch.split(num_rows):
        tokens, labels, positions, source = (
            torch.from_numpy(x).to(device, non_blocking=True)
            for x in (part.tokens_BT, part.labels_BT, part.positions_BT, part.source_B)
        )
        documents = Documents.of(part.positions_BT, part.max_segments, device)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            hidden_BTC = model(tokens, positions, documents)
            losses_N = token_losses(hidden_BTC.flatten(0, 1), model.head_VC, labels.flatten())
        torch.autograd.backward(losses_N.sum() / max(1, batch.num_labels))
        sums.index_add_(0, source, losses_N.detach().view(labels.shape).sum(dim=1, dtype=torch.float64))
    return sums


def choose_device(wanted: Literal["auto", "cpu", "cuda"]) -> torch.device:
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError('device = "cuda": torch sees no CUDA device; use device = "auto" or "cpu"')
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def _batches(loader: Loader, first: int, last: int) -> Iterator[tuple[int, Batch]]:
    """(number, batch) of the steps first + 1 … last; the next batch is made while one is trained on."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(loader.batch, first)
        for step in range(first + 1, last + 1):
            batch = coming.result()
            coming = thread.submit(loader.batch, step)
            yield step, batch


def _speed(model: Model, batch: Batch, seconds: float) -> Record:
    flops = model.training_flops(batch.num_labels, batch.sum_squared_lengths()) / seconds
    speed = {"tokens_per_s": batch.num_labels / seconds, "tflop_per_s": flops / 1e12}
    return speed | ({"mfu": flops / PEAK_FLOPS} if model.head_VC.is_cuda else {})


@contextmanager
def _stop_on_signal() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; a second one acts as it would without us."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # Python allows handlers in the main thread only
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def request(number: int, frame: FrameType | None) -> None:
        stop.set()
        restore()

    for number in before:
        signal.signal(number, request)
    try:
        yield stop
    finally:
        restore()


def _check_same_plan(plan: Plan, out: Path) -> None:
    identity = recorded_identity(out / CHECKPOINTS)
    if identity and (keys := differing_keys(plan.identity, identity)):
        raise UserError(
            f"{out}: its checkpoints were trained with other settings; they differ in {', '.join(keys)}; "
            "set them back, or choose another out"
        )


def _check_mask(config: TrainConfig, device: torch.device) -> None:
    num_rows, length = config.micro_batch_size or config.batch_size, config.sequence_length
    num_bytes = num_rows * length**2
    if device.type == "cpu" and num_bytes > MAX_MASK:
        raise UserError(
            f"sequence_length {length:,}: on CPU {num_rows} rows at once need an attention mask of "
            f"{num_bytes / 1e9:.1f} GB, more than {MAX_MASK / 1e9:.1f}; lower micro_batch_size or sequence_length"
        )


def _measured(path: Path, sources: set[str]) -> dict[int, dict[str, float]]:
    """Bits per byte by step and source, of those lines that tell all of them."""
    found = {record["step"]: record.get("held_out_bits_per_byte") for record in read_records(path)}
    return {step: values for step, values in found.items() if isinstance(values, dict) and values.keys() == sources}
