"""Progress of long work on standard error: a live bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from pipelines.numbers import counted

_SECONDS_A_LINE = 10.0  # between plain lines of one phase


@dataclass(frozen=True)
class Progress:
    """The state of a run, as its caller shows it."""

    phase: str  # "pass 0", "near", "finish"
    units_done: int
    documents: int
    kept: int
    bytes_done: int
    bytes_total: int


Report = Callable[[Progress], None]


class ProgressDisplay:
    """Show each `Progress` that it is called with.

    It is a context manager, because the bar must be taken down before anything else is printed.
    """

    def __init__(self) -> None:
        self._terminal = sys.stderr is not None and sys.stderr.isatty()  # None where the caller has closed it
        self._began = self._last = time.monotonic()
        self._phase = ""
        self._is_at_end = False  # the phase has read all its bytes, and a line has said so
        self._earlier = 0  # documents that an interrupted run made in this phase: they do not count for the rate
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

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        is_new_phase = progress.phase != self._phase
        if is_new_phase:
            self._phase, self._began, self._earlier = progress.phase, now, progress.documents
            self._is_at_end = False
        rate = (progress.documents - self._earlier) / max(now - self._began, 1e-9)
        line = f"{counted(progress.documents, 'page')} in, {progress.kept:,} kept" if progress.documents else ""
        line += f", {rate:,.1f} pages/s" if rate else ""
        if self._bar is not None:
            self._bar.update(
                self._task, description=progress.phase, completed=progress.bytes_done,
                total=progress.bytes_total or None, line=line,
            )  # fmt: skip
            return
        was_at_end, self._is_at_end = self._is_at_end, progress.bytes_done == progress.bytes_total > 0
        if is_new_phase or now - self._last >= _SECONDS_A_LINE or self._is_at_end > was_at_end:
            self._last = now
            self._console.print(_plain_line(progress, line, rate, now - self._began), soft_wrap=True)


class _Bytes(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{_size(task.completed)} of {_size(task.total)}" if task.total else "")


def _plain_line(progress: Progress, line: str, rate: float, seconds: float) -> str:
    """`line` with the share of the bytes that is done, and the time left at the rate so far."""
    parts = [line]
    if progress.bytes_total:
        parts.insert(0, f"{progress.bytes_done / progress.bytes_total:.0%} of {_size(progress.bytes_total)}")
    if rate and progress.bytes_done < progress.bytes_total:
        left = seconds * (progress.bytes_total - progress.bytes_done) / max(progress.bytes_done, 1)
        parts.append(f"{left:,.0f} s left")
    return f"{progress.phase}: {', '.join(part for part in parts if part) or 'started'}"


def _size(num_bytes: float) -> str:
    return f"{num_bytes / 1e6:,.1f} MB" if num_bytes >= 1e6 else f"{num_bytes / 1e3:,.1f} kB"
