"""A pool of processes on this machine, any of which may be killed at any time.

    parent ──(function, task)──▶ worker 1      one task at a time over a pipe of its own
           ◀──result──
           ──────▶ worker 2 …

Workers share no queue and no lock with each other, since whoever holds one may be killed. A worker that dies is
replaced, and its task runs again: tasks write whole files, of the same bytes each time. A task that its worker does not
survive three times ends the run.
"""

import logging
import multiprocessing
import os
import pickle
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import ModuleType
from typing import Any

from pipelines.executors.memory import machine_memory, task_memory
from pipelines.executors.protocol import OUT_OF_MEMORY, Then, Tick, Watch, Watching
from shards.errors import GristmillError, Interrupted, RunError
from shards.stop_signal import stop_on_signal

log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0  # at most so long the parent of a pool neither shows progress nor sees Ctrl-C
_MOST_LOSSES = 3  # of one task, with its worker


class ProcessPool(Watching):
    """Runs tasks on `workers` processes, started fresh (spawn), so no lock or thread of this one is copied into them.

    They start with the first tasks and end with the `with` block, or with an error.
    """

    def __init__(self, workers: int, memory: int | None = None, *, imports_main: bool = True) -> None:
        """Without `imports_main` workers do not import the caller's main module, and tasks are no functions of it."""
        self.memory = memory or machine_memory() // 2
        self.task_memory = task_memory(self.memory, workers + 1, workers)
        self.workers, self._imports_main = workers, imports_main
        self.num_lost = 0  # tasks that ran again after their worker died
        self._context = multiprocessing.get_context("spawn")
        self._flag = self._context.RawValue("b", 0)
        self._workers: list[_Worker] = []

    def __exit__(self, *_: object) -> None:
        self._flag.value = 1  # whatever ends this early, the workers' open units end too
        with stop_on_signal(self._kill_workers):
            for worker in self._workers:
                worker.connection.close()
            for worker in self._workers:
                worker.process.join()
        self._workers.clear()
        self._flag.value = 0

    def map_watched(
        self,
        fn: Callable[[Any, Watch], Any],
        tasks: Sequence[Any],
        then: Then = lambda _: (),
        tick: Tick | None = None,
    ) -> Iterator[Any]:
        todo = deque(_Task(fn, task) for task in tasks)
        opened = set[_Task]()
        with stop_on_signal(self._kill_workers) as stop:
            while todo or opened:
                if stop.is_set:
                    self._flag.value = 1
                else:
                    self._give_out(todo, opened)
                if stop.is_set and not opened:
                    raise Interrupted("interrupted")
                answers = [(task, answer) for task, answer in self._answers() if task in opened]
                if tick is not None and not answers:
                    tick([sum(amounts) for amounts in zip(*(worker.counters for worker in self._workers), strict=True)])
                results = []
                for task, answer in answers:
                    opened.remove(task)
                    if isinstance(answer, _Answer):
                        results.append(answer.result())
                        todo.extendleft(_Task(fn, one) for one in then(results[-1]))
                    elif not stop.is_set:  # whoever ends a job may send SIGTERM to the workers too
                        self._note_loss(task, answer)
                        todo.appendleft(task)
                if not stop.is_set:
                    self._give_out(todo, opened)  # before the caller makes something of the results
                yield from results

    def _give_out(self, todo: "deque[_Task]", opened: "set[_Task]") -> None:
        """Give a task to each worker that has none."""
        while todo:
            worker = next((worker for worker in self._workers if worker.task is None), None)
            if worker is None:
                if len(self._workers) == self.workers:
                    return
                worker = self._start()
            if worker.take(todo[0]):
                opened.add(todo.popleft())
            else:  # it died while it had nothing to do
                self._bury(worker)

    def _answers(self) -> "list[tuple[_Task, _Answer | _Death]]":
        """What came within a moment, of which tasks."""
        busy = {worker.connection: worker for worker in self._workers if worker.task is not None}
        ready = wait([*busy], _POLL_SECONDS) or [one for one, worker in busy.items() if not worker.process.is_alive()]
        found: list[tuple[_Task, _Answer | _Death]] = []
        for connection in ready:
            worker = busy[connection]  # type: ignore[index]  # a connection, since those were asked
            task, answer = worker.answer()
            if answer is None:
                self._bury(worker)
            found.append((task, answer or _Death(worker.process.exitcode)))
        return found

    def _note_loss(self, task: "_Task", death: "_Death") -> None:
        """Count a task that was lost with its worker. RunError where that was once too often."""
        self.num_lost += 1
        task.losses += 1
        if task.losses == _MOST_LOSSES:
            raise RunError(
                f"a worker process died ({death}) in each of {_MOST_LOSSES} tries of one task; run the same command "
                "again, it resumes; fewer --workers need less memory"
            )
        log.warning("a worker process died (%s); its task runs again", death)

    def _start(self) -> "_Worker":
        ours, theirs = self._context.Pipe()
        counters = self._context.RawArray("q", 3)
        watch = _SharedWatch(self._flag, counters)
        process = self._context.Process(target=_work, args=(theirs, watch, os.getpid()))
        with _without_ctrl_c(), nullcontext() if self._imports_main else _without_main():
            process.start()
        theirs.close()
        worker = _Worker(process, ours, counters)
        self._workers.append(worker)
        return worker

    def _bury(self, worker: "_Worker") -> None:
        self._workers.remove(worker)
        worker.connection.close()
        worker.process.kill()
        worker.process.join()

    def _kill_workers(self) -> None:
        """End the workers at once. A signal handler calls it, so it takes no lock."""
        for worker in list(self._workers):
            if worker.process.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(worker.process.pid, signal.SIGKILL)


@contextmanager
def _without_main() -> Iterator[None]:
    """Start a process that does not import the caller's main module again: a script would run once more in it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Hold SIGINT back: a process that starts meanwhile never gets it, not even before it can ignore it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass(eq=False)
class _Task:
    fn: Callable[[Any, Watch], Any]
    value: Any
    losses: int = 0


@dataclass(frozen=True)
class _Answer:
    value: Any
    is_error: bool = False

    def result(self) -> Any:
        if self.is_error:
            raise self.value
        return self.value


@dataclass(frozen=True)
class _Death:
    exit_code: int | None

    def __str__(self) -> str:
        if self.exit_code == -signal.SIGKILL:
            return "killed, or out of memory"
        if self.exit_code == OUT_OF_MEMORY:
            return "out of memory"
        if self.exit_code is not None and self.exit_code < 0:
            return signal.Signals(-self.exit_code).name
        return f"exit code {self.exit_code}"


@dataclass(eq=False)
class _Worker:
    """A worker, as its parent knows it."""

    process: SpawnProcess
    connection: Connection
    counters: Any  # of its open task, which it alone writes
    task: _Task | None = None

    def take(self, task: _Task) -> bool:
        """Give it a task; False where it is dead. It has none, so it waits for one, and nothing can be stuck."""
        try:
            self.connection.send_bytes(pickle.dumps((task.fn, task.value, task.losses), pickle.HIGHEST_PROTOCOL))
        except OSError:
            return False
        self.task = task
        return True

    def answer(self) -> tuple[_Task, _Answer | None]:
        """Its task and what came of it; None where it died."""
        assert self.task is not None
        task, self.task = self.task, None
        try:
            return task, pickle.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            return task, None


@dataclass(frozen=True)
class _SharedWatch:
    """The watch of a worker. Flag and array are inherited when the worker starts, and cannot come with a task."""

    flag: Any
    counters: Any
    losses: int = 0

    def check_stop(self) -> None:
        if self.flag.value:
            raise Interrupted("interrupted")

    def advance(self, documents: int, kept: int, num_bytes: int) -> None:
        for i, amount in enumerate((documents, kept, num_bytes)):
            self.counters[i] += amount


def _work(connection: Connection, watch: _SharedWatch, parent: int) -> None:
    """Do tasks, until the parent closes the pipe or dies. Runs in a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a killed parent leaves no workers behind …
        if os.getppid() != parent:  # … nor one that was killed before this line
            os._exit(1)
    with suppress(EOFError, OSError):
        while True:
            connection.send_bytes(_answer(connection.recv_bytes(), watch))


def _answer(data: bytes, watch: _SharedWatch) -> bytes:
    try:
        fn, value, losses = pickle.loads(data)
        return pickle.dumps(_Answer(fn(value, replace(watch, losses=losses))), pickle.HIGHEST_PROTOCOL)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)  # as if the kernel had killed it: whatever it holds is given back
    except BaseException as error:  # noqa: BLE001  # the parent raises it
        told = "".join(traceback.format_exception(error))
        try:
            if not isinstance(error, GristmillError):
                error.add_note(f"In a worker process:\n{told}")
            answer = pickle.dumps(_Answer(error, is_error=True))
            pickle.loads(answer)
        except Exception:  # noqa: BLE001  # an error that cannot be sent
            return pickle.dumps(_Answer(RuntimeError(told), is_error=True))
        return answer
