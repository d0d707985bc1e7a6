"""SIGINT and SIGTERM: the first asks for a stop, the next one ends the process.

    stop_on_signal      long work: the first signal sets a flag, which the work reads between its steps
    command_signals     a command: the first signal raises KeyboardInterrupt, the next one ends the process at once

A handler runs between any two instructions of the main thread, perhaps while that holds a lock, and a second one within
the first. So handlers take no lock: they set plain attributes, write to a file descriptor, and leave by `os._exit`.
Files are written atomically, so that loses open work only.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from shards.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CLEAR_LINE, _SHOW_CURSOR = b"\r\x1b[K", b"\x1b[?25h"  # of a terminal that a progress bar has


@dataclass
class Stop:
    """Whether the user wants to stop."""

    is_set: bool = False


@dataclass
class _Process:
    """What this process knows of its signals."""

    came: bool = False


_process = _Process()


@contextmanager
def stop_on_signal(escalate: Callable[[], None] | None = None) -> Iterator[Stop]:
    """A flag that the first SIGINT or SIGTERM of the block sets.

    The second one calls `escalate`, which must take no lock. Those after it, or after the first where there is no
    `escalate`, find the previous handlers, which the end of the block puts back too. In another thread than the main
    one, where Python allows no handlers, nothing sets the flag.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(number: int, frame: FrameType | None) -> None:
        is_first, stop.is_set = not stop.is_set, True
        _process.came = True
        if not is_first or escalate is None:
            restore()
        if not is_first and escalate is not None:
            escalate()

    for number in _SIGNALS:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        restore()


def command_signals(line: str) -> None:
    """Set the handlers of a command: the next signal raises KeyboardInterrupt, those after it end the process.

    A signal that `stop_on_signal` has taken counts as the first. At the end the process writes `line` to standard error
    and exits with the code of `Interrupted`.
    """
    _process.came = False
    last_words = line.encode(errors="backslashreplace") + b"\n"

    def handle(number: int, frame: FrameType | None) -> None:
        if not _process.came:
            _process.came = True
            raise KeyboardInterrupt
        with suppress(OSError):
            os.write(2, (_CLEAR_LINE + _SHOW_CURSOR if os.isatty(2) else b"") + last_words)
        os._exit(Interrupted.exit_code)

    for number in _SIGNALS:
        signal.signal(number, handle)


def ignore_signals() -> None:
    """From now on the process ends by itself, and its last line is said."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
