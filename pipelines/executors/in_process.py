"""One task after the other, in this process."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from pipelines.executors.memory import machine_memory, task_memory
from pipelines.executors.protocol import Then, Tick, Watch, Watching
from shards.errors import Interrupted
from shards.stop_signal import Stop, stop_on_signal


@dataclass
class _LocalWatch:
    stop: Stop
    tick: Tick | None
    counters: list[int] = field(default_factory=lambda: [0, 0, 0])
    losses = 0  # whoever is lost here takes its parent along

    def check_stop(self) -> None:
        if self.stop.is_set:
            raise Interrupted("interrupted")

    def advance(self, documents: int, kept: int, num_bytes: int) -> None:
        amounts = (documents, kept, num_bytes)
        self.counters[:] = [count + amount for count, amount in zip(self.counters, amounts, strict=True)]
        if self.tick is not None:
            self.tick(self.counters)


class InProcess(Watching):
    """Runs one task after the other, here. Inside a task of another executor, `watch` is the one that it was given."""

    def __init__(self, memory: int | None = None, *, watch: Watch | None = None) -> None:
        self.memory = memory or machine_memory() // 2
        self.task_memory = task_memory(self.memory, 1, 1)
        self.workers = 1
        self._watch = watch

    def __exit__(self, *_: object) -> None: ...

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
