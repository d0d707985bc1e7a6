"""Where units of work run: in this process, or on a pool of processes.

Both give the same results in some order, raise the first error, and stop at Ctrl-C after the open batch: the handler
in the parent raises a flag that `check_stop` looks at in every worker, which ignores the signal itself. Counters that
workers `advance` let the parent show progress inside a unit; they are for the eye, results never depend on them.
"""

import multiprocessing
import os
import re
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Self

from shards.errors import Interrupted, RunError, UserError

Tick = Callable[[list[int]], None]

_IDLE = 256 << 20  # bytes of a process that has loaded pyarrow and the kernels and does nothing
_LEAST_TASK = 64 << 20
_LEAST_MEMORY = 500_000_000

_stop: Any = threading.Event()  # in a pool worker: the multiprocessing event of the parent
_counters: Any = [0, 0, 0]  # documents, kept, bytes of open units; in a pool worker: the parent's shared array
_tick: Tick | None = None  # called by `advance` where parent and worker are one process


def check_stop() -> None:
    """Asked between batches: has the user pressed Ctrl-C?"""
    if _stop.is_set():
        raise Interrupted("interrupted")


def advance(documents: int, kept: int, num_bytes: int) -> None:
    """Add to what open units have done; a unit takes its part back when it ends and its manifest counts instead."""
    amounts = (documents, kept, num_bytes)
    if isinstance(_counters, list):
        _counters[:] = [c + a for c, a in zip(_counters, amounts, strict=True)]
        if _tick is not None:
            _tick(_counters)
        return
    with _counters.get_lock():
        for i, amount in enumerate(amounts):
            _counters[i] += amount


@contextmanager
def _ctrl_c_sets(event: Any) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM sets `event`; a second one ends the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(*_: object) -> None:
        event.set()
        for number in before:
            signal.signal(number, signal.default_int_handler)

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _nothing_more(_: Any) -> Sequence[Any]:
    return ()


def machine_memory() -> int:
    """Bytes of main memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _task_memory(memory: int, processes: int, workers: int) -> int:
    return max(_LEAST_TASK, (memory - processes * _IDLE) // workers)


class InProcess:
    """One unit after the other, here."""

    tick: Tick | None = None

    def __init__(self, memory: int | None = None) -> None:
        self.memory = memory or machine_memory() // 2
        self.task_memory = _task_memory(self.memory, 1, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(
        self, fn: Callable[[Any], Any], tasks: Sequence[Any], then: Callable[[Any], Sequence[Any]] = _nothing_more
    ) -> Iterator[Any]:
        global _tick
        _stop.clear()
        _counters[:], _tick = [0, 0, 0], self.tick
        todo = deque(tasks)
        with _ctrl_c_sets(_stop):
            while todo:
                check_stop()
                result = fn(todo.popleft())
                todo.extendleft(then(result))  # a file's next unit comes first: its bytes are in the page cache
                yield result


class ProcessPool:
    """`workers` processes, started fresh (spawn), so no lock or thread of this one is copied into them.

    They start with the first `map` and end with the `with` block, or with an error.
    """

    tick: Tick | None = None

    def __init__(self, workers: int, memory: int | None = None) -> None:
        self.memory = memory or machine_memory() // 2
        self.task_memory = _task_memory(self.memory, workers + 1, workers)
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._stop.set()  # whatever ends this early, the workers' open units end too
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def map(
        self, fn: Callable[[Any], Any], tasks: Sequence[Any], then: Callable[[Any], Sequence[Any]] = _nothing_more
    ) -> Iterator[Any]:
        pool = self._pool or self._start()
        waiting: set[Future[Any]] = set()
        todo = deque(tasks)
        try:
            with _ctrl_c_sets(self._stop):
                while todo or waiting:
                    while todo and len(waiting) < 2 * self._workers and not self._stop.is_set():
                        waiting.add(pool.submit(fn, todo.popleft()))
                    if not waiting:
                        raise Interrupted("interrupted")
                    done, waiting = wait(waiting, timeout=1, return_when=FIRST_COMPLETED)
                    if self.tick is not None and not done:
                        self.tick(self._counters[:])
                    for future in done:
                        result = future.result()
                        todo.extendleft(then(result))
                        yield result
        except BrokenProcessPool as error:
            if self._stop.is_set():  # who ends a job may send SIGTERM to the workers too
                raise Interrupted("interrupted") from None
            raise RunError(
                "a worker process died (killed, or out of memory); run the same command again, it resumes; "
                "fewer --workers need less memory"
            ) from error

    def _start(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        self._stop, self._counters = context.Event(), context.Array("q", 3)
        self._pool = ProcessPoolExecutor(
            self._workers, context, initializer=_start_worker, initargs=(self._stop, self._counters, os.getpid())
        )
        return self._pool


def _start_worker(stop: Any, counters: Any, parent: int) -> None:
    global _stop, _counters
    _stop, _counters = stop, counters
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a killed parent leaves no workers behind …
        if os.getppid() != parent:  # … nor one that was killed before this line
            os._exit(1)


def parse_memory(text: str) -> int:
    """Bytes of "2GB", "500MB" or "1.5 GiB"; units are powers of ten without the i."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT])(i?)B?\s*", text, re.IGNORECASE)
    if match is None:
        raise UserError(f"--memory {text}: expected a size as 2GB or 500MB")
    num_bytes = int(float(match[1]) * (1024 if match[3] else 1000) ** (" KMGT".index(match[2].upper())))
    if num_bytes < _LEAST_MEMORY:
        raise UserError(f"--memory {text}: too little for a process to start; give 500MB or more")
    return num_bytes


def make_executor(kind: str, workers: int, memory: int | None = None) -> InProcess | ProcessPool:
    return ProcessPool(workers, memory) if kind == "pool" else InProcess(memory)
