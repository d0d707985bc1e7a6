"""Where tasks run: in this process, or on a pool of processes.

Both give the same results in some order, raise the first error, and stop after Ctrl-C at the end of the open batch. A
function that works for long takes a `Watch` beside its task: it asks the watch whether to stop, and tells it how far it
is. Progress is for people only; results never depend on it.

    InProcess     signal handler ──flag──▶ watch ──▶ function
    ProcessPool   signal handler ──flag──▶ parent's loop ──shared flag──▶ watch of each worker ──▶ function

A second Ctrl-C kills the workers of a pool. What parent and workers share to stop has no lock: whoever holds one may be
killed, or interrupted by a handler.
"""

import multiprocessing
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Protocol, Self

from shards.errors import Interrupted, RunError, UserError
from shards.exchange import Executor as TaskExecutor
from shards.stop_signal import Stop, stop_on_signal

Counters = Sequence[int]  # documents read, documents kept, bytes read, of all open units together
Tick = Callable[[Counters], None]
Then = Callable[[Any], Sequence[Any]]

_IDLE = 256 << 20  # bytes of a process that has loaded pyarrow and the kernels and does nothing
_LEAST_TASK = 64 << 20
_LEAST_MEMORY = 500_000_000
_POLL_SECONDS = 1.0  # at most so long the parent of a pool neither shows progress nor sees Ctrl-C


class Watch(Protocol):
    """What a long task shares with whoever started it."""

    def check_stop(self) -> None:
        """Raise Interrupted if the user has pressed Ctrl-C. Asked between batches."""
        ...

    def advance(self, documents: int, kept: int, num_bytes: int) -> None:
        """Add to what open units have done; a unit takes its part back when it ends and its manifest counts instead."""
        ...


class Executor(TaskExecutor, Protocol):
    """An executor that also runs tasks which take long. It is a context manager, since it may hold processes."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def map_watched(
        self,
        fn: Callable[[Any, Watch], Any],
        tasks: Sequence[Any],
        then: Then = lambda _: (),
        tick: Tick | None = None,
    ) -> Iterator[Any]:
        """As `map`, of `fn(task, watch)`; `tick` is called now and then with what open tasks have done."""
        ...


def machine_memory() -> int:
    """Bytes of main memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _task_memory(memory: int, processes: int, workers: int) -> int:
    return max(_LEAST_TASK, (memory - processes * _IDLE) // workers)


def _unwatched(fn: Callable[[Any], Any], task: Any, _: Watch) -> Any:
    return fn(task)


@dataclass
class _LocalWatch:
    stop: Stop
    tick: Tick | None
    counters: list[int] = field(default_factory=lambda: [0, 0, 0])

    def check_stop(self) -> None:
        if self.stop.is_set:
            raise Interrupted("interrupted")

    def advance(self, documents: int, kept: int, num_bytes: int) -> None:
        amounts = (documents, kept, num_bytes)
        self.counters[:] = [count + amount for count, amount in zip(self.counters, amounts, strict=True)]
        if self.tick is not None:
            self.tick(self.counters)


class InProcess:
    """Runs one task after the other, here. Inside a task of another executor, `watch` is the one that it was given."""

    def __init__(self, memory: int | None = None, *, watch: Watch | None = None) -> None:
        self.memory = memory or machine_memory() // 2
        self.task_memory = _task_memory(self.memory, 1, 1)
        self.workers = 1
        self._watch = watch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(self, fn: Callable[[Any], Any], tasks: Sequence[Any], then: Then = lambda _: ()) -> Iterator[Any]:
        return self.map_watched(partial(_unwatched, fn), tasks, then)

    def map_watched(
        self,
        fn: Callable[[Any, Watch], Any],
        tasks: Sequence[Any],
        then: Then = lambda _: (),
        tick: Tick | None = None,
    ) -> Iterator[Any]:
        todo = deque(tasks)
        with stop_on_signal() if self._watch is None else nullcontext(Stop()) as stop:
            watch = self._watch or _LocalWatch(stop, tick)
            while todo:
                watch.check_stop()
                result = fn(todo.popleft(), watch)
                todo.extendleft(then(result))  # a file's next unit comes first: its bytes are in the page cache
                yield result


class ProcessPool:
    """Runs tasks on `workers` processes, started fresh (spawn), so no lock or thread of this one is copied into them.

    They start with the first `map` and end with the `with` block, or with an error.
    """

    def __init__(self, workers: int, memory: int | None = None) -> None:
        self.memory = memory or machine_memory() // 2
        self.task_memory = _task_memory(self.memory, workers + 1, workers)
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._flag.value = 1  # whatever ends this early, the workers' open units end too
            with stop_on_signal(self._kill_workers):
                self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def map(self, fn: Callable[[Any], Any], tasks: Sequence[Any], then: Then = lambda _: ()) -> Iterator[Any]:
        return self.map_watched(partial(_unwatched, fn), tasks, then)

    def map_watched(
        self,
        fn: Callable[[Any, Watch], Any],
        tasks: Sequence[Any],
        then: Then = lambda _: (),
        tick: Tick | None = None,
    ) -> Iterator[Any]:
        pool = self._pool or self._start()
        waiting: set[Future[Any]] = set()
        todo = deque(tasks)
        stop = Stop()
        try:
            with stop_on_signal(self._kill_workers) as stop:
                while todo or waiting:
                    if stop.is_set:
                        self._flag.value = 1
                    while todo and len(waiting) < 2 * self.workers and not stop.is_set:
                        with _without_ctrl_c():
                            waiting.add(pool.submit(_Worker.run, fn, todo.popleft()))
                    if not waiting:
                        raise Interrupted("interrupted")
                    done, waiting = wait(waiting, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
                    if tick is not None and not done:
                        tick(self._counters.get_obj()[:])  # a worker may have been killed with the lock
                    for future in done:
                        result = future.result()
                        todo.extendleft(then(result))
                        yield result
        except BrokenProcessPool as error:
            if stop.is_set:  # whoever ends a job may send SIGTERM to the workers too
                raise Interrupted("interrupted") from None
            raise RunError(
                "a worker process died (killed, or out of memory); run the same command again, it resumes; "
                "fewer --workers need less memory"
            ) from error

    def _start(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        self._flag = context.RawValue("b", 0)
        self._counters: Any = context.Array("q", 3)
        watch = _SharedWatch(self._flag, self._counters)
        self._pool = ProcessPoolExecutor(
            self.workers, context, initializer=_Worker.start, initargs=(watch, os.getpid())
        )
        return self._pool

    def _kill_workers(self) -> None:
        """End the workers at once. A signal handler calls it, so it takes no lock."""
        processes = getattr(self._pool, "_processes", None) or {}
        for process in list(processes):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Hold SIGINT back: a process that starts meanwhile never gets it, not even before it can ignore it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass(frozen=True)
class _SharedWatch:
    """The watch of a worker. Flag and array are inherited when the worker starts, and cannot come with a task."""

    flag: Any
    counters: Any

    def check_stop(self) -> None:
        if self.flag.value:
            raise Interrupted("interrupted")

    def advance(self, documents: int, kept: int, num_bytes: int) -> None:
        with self.counters.get_lock():
            for i, amount in enumerate((documents, kept, num_bytes)):
                self.counters[i] += amount


class _Worker:
    """A process of a pool. It holds what its parent shares, since tasks cannot bring it."""

    watch: ClassVar[Watch]

    @classmethod
    def start(cls, watch: Watch, parent: int) -> None:
        cls.watch = watch
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if sys.platform == "linux":
            import ctypes

            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a killed parent leaves no workers behind …
            if os.getppid() != parent:  # … nor one that was killed before this line
                os._exit(1)

    @classmethod
    def run(cls, fn: Callable[[Any, Watch], Any], task: Any) -> Any:
        return fn(task, cls.watch)


def parse_memory(text: str) -> int:
    """Bytes of "2GB", "500MB" or "1.5 GiB"; units are powers of ten without the i."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT])(i?)B?\s*", text, re.IGNORECASE)
    if match is None:
        raise UserError(f"--memory {text}: expected a size as 2GB or 500MB")
    num_bytes = int(float(match[1]) * (1024 if match[3] else 1000) ** (" KMGT".index(match[2].upper())))
    if num_bytes < _LEAST_MEMORY:
        raise UserError(f"--memory {text}: too little for a process to start; give 500MB or more")
    return num_bytes


def make_executor(kind: str, workers: int, memory: int | None = None) -> Executor:
    """The executor that `--executor` names: "pool" or "in-process"."""
    return ProcessPool(workers, memory) if kind == "pool" else InProcess(memory)
