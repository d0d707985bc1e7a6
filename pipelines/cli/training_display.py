"""A training on standard error: one line that is rewritten on a terminal, and plain lines elsewhere.

step 1,200 of 4,000: loss 3.2145, 4,120 tokens/s, 0.21 TFLOP/s, 62 % of a matrix product, data wait 0.1 %, 1.9 GB, …
"""

import logging
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pipelines.cli.printing import say, say_table, show_all, visible
from pipelines.lines import Line, Table
from pipelines.numbers import NOTHING, counted, percent, size

if TYPE_CHECKING:
    from pipelines.report.training.live import LiveReport
    from pretrain.order.plan import Plan

Record = Mapping[str, Any]

_FRAME_S = 0.5  # between two versions of the line on a terminal
_SMOOTH = 0.98  # weight of the mean so far in the time a step takes
_CLEAR = "\r\x1b[K"


class TrainingDisplay:
    """Show each record that it is called with.

    It is a context manager, because the line must be taken down before anything else is printed.
    """

    def __init__(self) -> None:
        self._is_terminal = sys.stderr is not None and sys.stderr.isatty()
        self._every_s = _FRAME_S
        self._num_steps = 0  # of the whole training
        self._last_shown = self._last_step_at = float("-inf")
        self._last_step = 0
        self._step_s: float | None = None  # that a step takes, with its part of evaluations and checkpoints
        self._is_line_open = False
        self._handler = _ClearingHandler(self)
        self._report: LiveReport | None = None

    def __enter__(self) -> Self:
        if self._is_terminal:
            logging.getLogger().addHandler(self._handler)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self._handler)
        self._end_line()
        if self._report is not None:
            self._report.write()

    def planned(self, plan: "Plan") -> None:
        """Show what the training will use, and keep its page up to date from now on."""
        show_all(plan_lines(plan))
        if plan.config.monitor.report:
            from pipelines.report.training.live import LiveReport

            self._report = LiveReport(Path(plan.config.out))

    def __call__(self, record: Record) -> None:
        self._show(record)
        if self._report is not None:
            self._report(record)

    def _show(self, record: Record) -> None:
        if "loss" in record:
            self._step(record)
            return
        self._end_line()
        if "started" in record:
            self._num_steps = record["steps"]
            self._every_s = _FRAME_S if self._is_terminal else record["every_s"]
            say(start_line(record))
        elif "held_out_bits_per_byte" in record:
            say_table(held_out_table(record))
            if "tasks" in record:
                say(tasks_line(record))
        elif "sample" in record:
            say(f"step {record['step']:,}: {record['prompt']!r} → {record['sample']!r}")

    def clear(self) -> None:
        """Take the line down."""
        if self._is_line_open:
            self._write(_CLEAR)
            self._is_line_open = False

    def _end_line(self) -> None:
        """Leave the line as it is; what follows is written below it."""
        if self._is_line_open:
            self._write("\n")
            self._is_line_open = False

    def _step(self, record: Record) -> None:
        now = time.monotonic()
        self._measure(record["step"], now)
        if now - self._last_shown < self._every_s and record["step"] != self._num_steps:
            return
        self._last_shown = now
        left = None if self._step_s is None else self._step_s * (self._num_steps - record["step"])
        line = step_line(record, self._num_steps, left)
        if self._is_terminal:
            self._write(_CLEAR + visible(line)[: shutil.get_terminal_size().columns - 1])
            self._is_line_open = True
        else:
            say(line)

    def _measure(self, step: int, now: float) -> None:
        """Note when a step ended, which gives the time that a step takes."""
        if step > self._last_step > 0:
            taken = (now - self._last_step_at) / (step - self._last_step)
            self._step_s = taken if self._step_s is None else _SMOOTH * self._step_s + (1 - _SMOOTH) * taken
        self._last_step, self._last_step_at = step, now

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


class _ClearingHandler(logging.Handler):
    """Warnings on a line of their own."""

    def __init__(self, display: TrainingDisplay) -> None:
        super().__init__(logging.WARNING)
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        self._display.clear()
        say(record.getMessage())


def plan_lines(plan: "Plan") -> Iterator[Line]:
    """What a training will use, as long as it does not know its speed."""
    from pretrain.order.ledger import epoch_ledger
    from pretrain.presets import dial_lines
    from pretrain.schedule import picture

    config = plan.config
    header = ("source", "documents", "tokens", "share", "trained on", "epochs")
    rows = [
        (
            line.source,
            f"{source.num_documents:,}",
            f"{line.num_tokens:,}",
            f"{line.share:.3f}",
            f"{line.num_trained_tokens:,}",
            f"{line.epochs:.2f}",
        )
        for line, source in zip(epoch_ledger(plan), plan.sources, strict=True)
    ]
    tokens_a_step = config.batch_size * config.sequence_length
    total = f"{counted(config.steps, 'step')} of {tokens_a_step:,} tokens, {config.steps * tokens_a_step:,} in all"
    rate = f"learning rate {picture(config.steps, config.optimizer)} {config.optimizer.lr:g} at most"
    yield from dial_lines(config.model_dump())
    yield Table(header, tuple(rows))
    yield total
    yield rate


def start_line(record: Record) -> str:
    """The devices, the step that a training goes on from, and the least time that it can take from there."""
    begun = f"goes on after step {record['step']:,}" if record["step"] else "begins"
    devices = record["device"] if record["num_devices"] == 1 else f"{record['num_devices']} times {record['device']}"
    rates = [f"{tera(record['matmul_tflop_per_s'])} in a matrix product"]
    if record["published_tflop_per_s"] is not None:
        rates.append(f"{tera(record['published_tflop_per_s'])} by its data sheet")
    parameters = counted(record["parameters"], "parameter")
    least_s = record["tflop_left"] / record["matmul_tflop_per_s"] / record["num_devices"]
    return (
        f"{parameters}, {counted(record['steps'], 'step')}, {devices} ({', '.join(rates)}); training {begun} and takes "
        f"{duration(least_s)} at least"
    )


def step_line(record: Record, num_steps: int, seconds_left: float | None) -> str:
    """What a step says to a person; `record` may lack all but step and loss."""
    of = f" of {num_steps:,}" if num_steps else ""
    parts = [f"step {record['step']:,}{of}: loss {_loss(record['loss'])}"]
    if (rate := record.get("tokens_per_s")) is not None:
        parts.append(f"{rate:,.0f} tokens/s")
    if seconds_left is not None:
        parts.append(f"{duration(seconds_left)} left")
    if (rate := record.get("tflop_per_s")) is not None:
        parts.append(tera(rate))
    if (used := record.get("mfu")) is not None:
        parts.append(f"MFU {percent(used)}")
    if (used := record.get("matmul_share")) is not None:
        parts.append(f"{percent(used, 0)} of a matrix product")
    if (waited := record.get("data_wait")) is not None:
        parts.append(f"data wait {percent(waited)}")
    if num_bytes := record.get("memory_bytes"):
        parts.append(size(num_bytes))
    sources = [f"{source} {_loss(loss, 3)}" for source, loss in record.get("loss_by_source", {}).items()]
    return ", ".join(parts) + (f" ({', '.join(sources)})" if len(sources) > 1 else "")


def tasks_line(record: Record) -> str:
    """The accuracy of each task, with its standard error."""
    figures = ((task, values["accuracy"], values["standard_error"]) for task, values in record["tasks"].items())
    return "accuracy: " + ", ".join(f"{task} {mean:.3f} ± {error:.3f}" for task, mean, error in figures)


def held_out_table(record: Record) -> Table:
    """Bits per byte of held-out documents, by source."""
    rows = tuple((source, _loss(value)) for source, value in record["held_out_bits_per_byte"].items())
    return Table((f"held out after step {record['step']:,}", "bits per byte"), rows, numbers=True)


def duration(seconds: float) -> str:
    """ "45 s", "12 min", "3 h 05 min", "2 d 4 h"."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(minutes / 60)
    return f"{hours // 24} d {hours % 24} h"


def tera(rate: float) -> str:
    """A rate in TFLOP/s with three digits: "0.00213 TFLOP/s", "412 TFLOP/s"."""
    return f"{rate:,.0f} TFLOP/s" if rate >= 100 else f"{rate:#.3g} TFLOP/s"


def _loss(value: float | None, digits: int = 4) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"
