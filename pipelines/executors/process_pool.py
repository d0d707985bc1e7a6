"""A pool of processes on this machine.

What parent and workers share to stop has no lock: whoever holds one may be killed, or interrupted by a handler.
"""

import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self

from pipelines.executors.memory import machine_memory, task_memory
from pipelines.executors.protocol import Job, Then, Tick, Watch, unwatched
from shards.errors import Interrupted, RunError
from shards.stop_signal import Stop, stop_on_signal

_POLL_SECONDS = 1.0  # at most so long the parent of a pool neither shows progress nor sees Ctrl-C


class ProcessPool:
    """Runs tasks on `workers` processes, started fresh (spawn), so no lock or thread of this one is copied into them.

    They start with the first `map` and end with the `with` block, or with an error.
    """

    def __init__(self, workers: int, memory: int | None = None) -> None:
        self.memory = memory or machine_memory() // 2
        self.task_memory = task_memory(self.memory, workers + 1, workers)
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

    def begin(self, job: Job) -> None: ...

    def map(self, fn: Callable[[Any], Any], tasks: Sequence[Any], then: Then = lambda _: ()) -> Iterator[Any]:
        return self.map_watched(partial(unwatched, fn), tasks, then)

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
