"""Progress of long work: a live bar on a terminal, plain lines elsewhere, both on standard error."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

_LINE_SECONDS = 10.0


@dataclass(frozen=True)
class Progress:
    """What the caller shows while a run goes on."""

    phase: str  # "pass 0", "near", "finish"
    units_done: int
    documents: int
    kept: int
    bytes_done: int
    bytes_total: int


Report = Callable[[Progress], None]


class Show:
    """Callable with each `Progress`; a context manager, since the bar must be taken down before other output."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._began = self._last = time.monotonic()
        self._phase = ""
        self._first = 0  # documents that an earlier run had made before this one began: no part of the rate
        self._bar: Bar | None = None
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)

    def __enter__(self) -> Self:
        if self._terminal:
            self._bar = Bar(
                SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), _Bytes(),
                TimeRemainingColumn(), TextColumn("{task.fields[line]}", markup=False),
                console=self._console, transient=True,
            )  # fmt: skip
            self._bar.start()
            self._task = self._bar.add_task("", total=None, line="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, step: Progress) -> None:
        now = time.monotonic()
        new_phase = step.phase != self._phase
        if new_phase:
            self._phase, self._began, self._first = step.phase, now, step.documents
        rate = (step.documents - self._first) / max(now - self._began, 1e-9)
        line = f"{step.documents:,} pages in, {step.kept:,} kept" if step.documents else ""
        line += f", {rate:,.1f} pages/s" if rate else ""
        if self._bar is not None:
            total = step.bytes_total or None
            self._bar.update(self._task, description=step.phase, completed=step.bytes_done, total=total, line=line)
        elif new_phase or now - self._last >= _LINE_SECONDS or (step.bytes_done == step.bytes_total > 0):
            self._last = now
            parts = [line]
            if step.bytes_total:
                parts.insert(0, f"{step.bytes_done / step.bytes_total:.0%} of {_size(step.bytes_total)}")
            if rate and step.bytes_done < step.bytes_total:
                left = (now - self._began) * (step.bytes_total - step.bytes_done) / max(step.bytes_done, 1)
                parts.append(f"{left:,.0f} s left")
            self._console.print(f"{step.phase}: {', '.join(p for p in parts if p) or 'started'}", soft_wrap=True)


class _Bytes(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{_size(task.completed)} of {_size(task.total)}" if task.total else "")


def _size(num_bytes: float) -> str:
    return f"{num_bytes / 1e6:,.1f} MB" if num_bytes >= 1e6 else f"{num_bytes / 1e3:,.1f} kB"
