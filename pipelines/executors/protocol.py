"""What a run asks of whoever runs its tasks, and what a long task shares with it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self

from shards.exchange import Executor as TaskExecutor

OUT_OF_MEMORY = 77  # exit code of a worker

Counters = Sequence[int]  # documents read, documents kept, bytes read, of all open units together
Tick = Callable[[Counters], None]
Then = Callable[[Any], Sequence[Any]]


class Watch(Protocol):
    """What a long task shares with whoever started it."""

    @property
    def losses(self) -> int:
        """How often this task was lost with its worker before."""
        ...

    def check_stop(self) -> None:
        """Raise Interrupted if the user has pressed Ctrl-C. Asked between batches."""
        ...

    def advance(self, documents: int, kept: int, num_bytes: int) -> None:
        """Add to what open units have done; a unit takes its part back when it ends and its manifest counts instead."""
        ...


@dataclass(frozen=True)
class Job:
    """What tasks need of the machine on which a run was started."""

    folder: Path  # of the run: every machine must see it, and keeps what it writes there
    token: str  # of the lease by which the folder is locked
    files: Mapping[str, Path] = field(default_factory=dict)  # that stages read, by the names they have for them


class Executor(TaskExecutor, Protocol):
    """An executor that also runs tasks which take long. It is a context manager, since it may hold processes."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    @property
    def num_lost(self) -> int:
        """Tasks that were given out again after their worker died."""
        ...

    def begin(self, job: Job) -> None:
        """Note what the tasks to come need, where they run on other machines."""
        ...

    def map_watched(
        self,
        fn: Callable[[Any, Watch], Any],
        tasks: Sequence[Any],
        then: Then = lambda _: (),
        tick: Tick | None = None,
    ) -> Iterator[Any]:
        """As `map`, of `fn(task, watch)`; `tick` is called now and then with what open tasks have done."""
        ...


class Watching(ABC):
    """What every executor has that can run tasks which are watched."""

    num_lost = 0

    def __enter__(self) -> Self:
        return self

    def begin(self, job: Job) -> None:  # noqa: B027  # tasks on this machine need nothing besides
        """See `Executor`."""

    def map(self, fn: Callable[[Any], Any], tasks: Sequence[Any], then: Then = lambda _: ()) -> Iterator[Any]:
        return self.map_watched(partial(_unwatched, fn), tasks, then)

    @abstractmethod
    def map_watched(
        self,
        fn: Callable[[Any, Watch], Any],
        tasks: Sequence[Any],
        then: Then = lambda _: (),
        tick: Tick | None = None,
    ) -> Iterator[Any]: ...


def name_of(fn: Callable[..., Any]) -> str:
    """The name of the function that a task runs."""
    while isinstance(fn, partial):
        fn = fn.args[0] if fn.func is _unwatched else fn.func
    return fn.__name__


def _unwatched(fn: Callable[[Any], Any], task: Any, _: Watch) -> Any:
    return fn(task)
