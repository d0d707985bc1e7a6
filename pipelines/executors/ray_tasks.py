"""Tasks on a cluster, by Ray: the driver is the process of the command, workers come and go.

    driver ──call: function, job──▶ object store ──a copy for each node──▶ workers
           ──task──▶ worker: prepare once for each call, run, sync ──result──▶ driver
           ◀──counters of open tasks── board (an actor beside the driver) ──stop──▶ watch of each worker

Ray places tasks, and that is all that is left to it. A task that is lost with its worker or node is given out again
here, so that it is counted and said. Tasks write files that appear whole and have the same bytes each time, by way of
parts with names of their own, so it does no harm where a lost one lives on for a while.

Everything that a task needs comes with its call: files of the driver's machine that stages read, by digest; the working
folder; the variables of the environment by which stores are reached, where a worker does not have its own.
"""

import atexit
import hashlib
import itertools
import logging
import os
import re
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from pipelines.executors.memory import IDLE, task_memory
from pipelines.executors.packing import packed, unpacked
from pipelines.executors.protocol import OUT_OF_MEMORY, Job, Then, Tick, Watch, Watching, name_of
from pipelines.executors.shipping import runtime_environment
from shards import brought, mirror, scratch
from shards.atomic import atomic_file, boot_id, sync_disk, write_apart
from shards.cores import usable_cores
from shards.errors import GristmillError, Interrupted, RunError, UserError
from shards.lock import owner_of
from shards.remote import RemoteError
from shards.stop_signal import Stop, stop_on_signal

log = logging.getLogger(__name__)

_MOST_PATH = 36  # bytes of the scratch folder
_POLL_SECONDS = 1.0  # between two looks at Ctrl-C, the cluster and the board
_CONNECT_SECONDS = 10.0
_CLEANING_SECONDS = 10.0  # for all nodes to remove their scratch
_MOST_LOSSES = 5  # of one task, with its worker or node
_ENVIRONMENT = re.compile(r"AWS_\w+|https?_proxy|no_proxy", re.IGNORECASE)
_numbers = itertools.count()


_Files = tuple[tuple[str, str], ...]  # (path from the folder that has the first part of it, sha256) of each file


@dataclass(frozen=True)
class _Call:
    """What all tasks of one `map` share."""

    number: int
    fn: Callable[[Any, Watch], Any]
    job: Job | None
    files: dict[str, _Files]  # by the name that stages have for them
    cwd: str
    environment: dict[str, str]
    boot: str  # of the driver's machine
    scratch: str  # name of the driver's folder for mirrors
    deleted: list[Path]  # of which other machines may have copies


class RayTasks(Watching):
    """Runs tasks on the cluster at `address`; without one, on a cluster of this machine that ends with the block.

    At most `workers` run at once, or one for each CPU that the cluster has at the time. `memory` is what the tasks of
    one node may take together, half of the smallest node's if not given. With `ship`, nodes install this gristmill.
    """

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        memory: int | None = None,
        *,
        ship: bool = False,
    ) -> None:
        self._address, self._most, self._memory, self._ship = address, workers, memory, ship
        self._job: Job | None = None
        self._files: dict[str, _Files] = {}
        self._objects: dict[str, Any] = {}  # of `_files`, by sha256
        self._force = False
        self.num_lost = 0  # tasks that were given out again

    def __enter__(self) -> Self:
        if self._address is None and "ray" not in sys.modules:  # otherwise Ray leaves a token in the home, and says so
            os.environ.setdefault("RAY_AUTH_MODE", "token")
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))
        self._own = not _ray().is_initialized()
        try:
            if self._own:
                self._connect()
            self._nodes, self._looked = _nodes(), time.monotonic()
            if not self._nodes:
                raise RunError(f"--address {self._address}: the cluster has no node with a CPU; add one and run again")
            self._least = min(self._nodes, key=lambda node: node.memory)
            if self._memory is not None and self._memory > self._least.memory:
                have = f"a node of the cluster has {self._least.memory / 1e9:.1f} GB for tasks"
                raise UserError(f"--memory {self._memory / 1e9:.1f} GB: {have}; give less")
            self._board = _beside_driver(_Board)
        except BaseException:
            self._disconnect()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        ray = _ray()
        with suppress(ray.exceptions.RayError):
            _clean_nodes(scratch.own_folder().name)
            ray.kill(self._board)
        self._disconnect()

    @property
    def workers(self) -> int:
        if time.monotonic() - self._looked > _POLL_SECONDS:  # nodes come and go
            self._nodes, self._looked = _nodes() or self._nodes, time.monotonic()
        num_cpus = sum(node.num_cpus for node in self._nodes)
        return min(self._most, num_cpus) if self._most is not None else num_cpus

    @property
    def memory(self) -> int:
        return self._memory or self._least.memory // 2

    @property
    def task_memory(self) -> int:
        return task_memory(self.memory, self._at_once, self._at_once)

    @property
    def _at_once(self) -> int:
        """Tasks on one node at once, at most."""
        return min(self._most or self._least.num_cpus, self._least.num_cpus)

    @property
    def resources(self) -> dict[str, int]:
        """What a task needs of a node, for Ray."""
        memory = min(self.task_memory + IDLE, self._least.memory // self._at_once)
        return {"num_cpus": 1, "memory": memory}

    def begin(self, job: Job) -> None:
        self._job = job
        self._files = {
            name: tuple((str(file.relative_to(path.parent)), self._put(file)) for file in _files_of(path))
            for name, path in job.files.items()
        }

    def _put(self, file: Path) -> str:
        """Put the file into the cluster's object store; its sha256."""
        data = file.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 not in self._objects:
            self._objects[sha256] = _ray().put(data)
        return sha256

    def map_watched(
        self,
        fn: Callable[[Any, Watch], Any],
        tasks: Sequence[Any],
        then: Then = lambda _: (),
        tick: Tick | None = None,
    ) -> Iterator[Any]:
        mirror.forget()
        call = _Call(
            number=next(_numbers),
            fn=fn,
            job=self._job,
            files=self._files,
            cwd=str(Path.cwd()),
            environment={name: value for name, value in os.environ.items() if _ENVIRONMENT.fullmatch(name)},
            boot=boot_id(),
            scratch=scratch.own_folder().name,
            deleted=[*mirror.deleted()],
        )
        running = _Running(self, call)
        todo = deque(tasks)
        stop = Stop()
        try:
            with stop_on_signal(self._be_forced) as stop:
                while todo or running.tasks:
                    if stop.is_set:
                        running.stop()
                    at_once = 2 * self.workers if self._most is None else self._most
                    while todo and len(running.tasks) < at_once and not stop.is_set:
                        running.submit(todo.popleft())
                    if not running.tasks and stop.is_set:
                        raise Interrupted("interrupted")
                    done = running.wait()
                    if tick is not None and not done and (counters := running.counters()):
                        tick(counters)
                    for result in done:
                        todo.extendleft(then(result))
                        yield result
        finally:
            running.end()
            mirror.forget()

    def _be_forced(self) -> None:
        """End open tasks at once. A signal handler calls it, so it only sets a flag."""
        self._force = True

    def _disconnect(self) -> None:
        self._objects.clear()
        if self._own:
            _ray().shutdown()

    def _connect(self) -> None:
        ray = _ray()
        if self._address is not None:
            _require_listening(self._address)
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            if self._address is None:
                ray.init(
                    address="local",
                    num_cpus=self._most or usable_cores(),
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level="WARNING",
                    _temp_dir=_temporary_folder(),
                )
            else:
                with tempfile.TemporaryDirectory(prefix="gristmill-wheel-") as folder:
                    environment = runtime_environment(Path(folder)) if self._ship else None
                    ray.init(
                        address=self._address, log_to_driver=False, logging_level="WARNING", runtime_env=environment
                    )
        except SystemExit:  # of the handler that Ray sets for SIGTERM meanwhile
            raise Interrupted("interrupted") from None
        except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
            if any("AuthToken" in str(one) for one in _with_causes(error)):  # it tells by the text alone
                raise UserError(
                    f"--address {self._address}: the cluster asks for its token: export RAY_AUTH_MODE=token, and "
                    "RAY_AUTH_TOKEN where ~/.ray/auth_token does not hold it"
                ) from None
            cause = " ".join(str(error).split())[:200]
            raise UserError(
                f"--address {self._address}: no cluster of Ray {ray.__version__} answers: {cause}"
            ) from None
        finally:
            for number, handler in handlers.items():
                with suppress(ValueError):  # not in the main thread, where Ray sets none either
                    signal.signal(number, handler)


def _temporary_folder() -> str:
    """A folder for a cluster of ours, which goes with this process, or with the next one where this one was killed.

    Paths of sockets in it may have 107 bytes, of which Ray takes 63; where the scratch has no room for so many it lies
    beside, and a kill leaves it there.
    """
    own = str(scratch.own_folder())
    folder = (
        tempfile.mkdtemp(prefix="r", dir=own) if len(own) <= _MOST_PATH else tempfile.mkdtemp(prefix="gristmill-ray-")
    )
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # after Ray has ended its processes
    return folder


def _require_listening(address: str) -> None:
    """UserError where nobody listens: Ray itself would ask for minutes."""
    if address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if not (colon and port.isdecimal()) or "/" in address:
        raise UserError(f"--address {address}: expected HOST:PORT, as `ray start --head` prints it, or auto")
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        cause = getattr(error, "strerror", None) or error
        raise UserError(
            f"--address {address}: no cluster answers ({cause}); start one by `ray start --head`, or leave it out"
        ) from None


@dataclass
class _Running:
    """The open tasks of one call."""

    executor: RayTasks
    call: _Call
    tasks: dict[Any, tuple[int, bytes]] = field(default_factory=dict)  # by reference: its number, and the task
    losses: Counter[int] = field(default_factory=Counter)  # by number
    numbers: Iterator[int] = field(default_factory=itertools.count)
    is_stopped: bool = False

    def __post_init__(self) -> None:
        self._call = [_ray().put(packed(self.call))]  # in a list, so that a worker gets it when it asks for it
        options = {**self.executor.resources, "max_retries": 0, "name": name_of(self.call.fn)}
        self._run = _ray().remote(_run).options(**options)

    def submit(self, task: Any) -> None:
        self._give_out(next(self.numbers), packed(task))

    def _give_out(self, number: int, task: bytes) -> None:
        executor = self.executor
        losses = self.losses[number]
        ref = self._run.remote(self.call.number, self._call, executor._board, number, losses, task, executor._objects)
        self.tasks[ref] = (number, task)

    def wait(self) -> list[Any]:
        """The results that came within a moment. The error of a task is raised; a lost one is given out again."""
        ray = _ray()
        done, _ = ray.wait([*self.tasks], num_returns=1, timeout=_POLL_SECONDS)
        if done:
            done, _ = ray.wait([*self.tasks], num_returns=len(self.tasks), timeout=0)
        if self.executor._force:
            for ref in self.tasks:
                ray.cancel(ref, force=True)
        return [result for ref in done for result in self._result(ref)]

    def _result(self, ref: Any) -> list[Any]:
        ray = _ray()
        number, task = self.tasks.pop(ref)
        try:
            result = unpacked(ray.get(ref))
        except ray.exceptions.TaskCancelledError:
            raise Interrupted("interrupted") from None
        except ray.exceptions.RuntimeEnvSetupError as error:
            raise RunError(f"the environment of workers cannot be made: {_last_line(error)}") from None
        except _losses() as error:
            if self.is_stopped:
                return []
            self._lost(number, error)
            self._give_out(number, task)
            return []
        if isinstance(result, GristmillError):
            raise result
        return [result]

    def _lost(self, number: int, error: Exception) -> None:
        self.losses[number] += 1
        self.executor.num_lost += 1
        self.executor._board.forget.remote(self.call.number, number)
        if self.losses[number] >= _MOST_LOSSES:
            raise RunError(
                f"a task was lost {_MOST_LOSSES} times with its worker ({type(error).__name__}: killed, or out of "
                "memory); run the same command again, it resumes; fewer --workers need less memory"
            ) from error
        log.warning("a task was lost with its worker or node (%s); it runs again", type(error).__name__)

    def counters(self) -> list[int]:
        ray = _ray()
        try:
            return list(ray.get(self.executor._board.counters.remote(self.call.number), timeout=_POLL_SECONDS))
        except ray.exceptions.RayError:  # busy, or lost: progress is for people only
            return []

    def stop(self) -> None:
        """Ask open tasks to end with their batch. Where no node is left, those that wait for one end at once.

        It is asked again and again: a board that was started anew does not know it.
        """
        self.is_stopped = True
        self.executor._board.stop.remote(self.call.number)
        if not _nodes():
            self.executor._be_forced()

    def end(self) -> None:
        """Wait until no task is open: whoever ends this early must not leave one that writes."""
        if not self.tasks:
            return
        ray = _ray()
        with stop_on_signal(self.executor._be_forced), suppress(ray.exceptions.RaySystemError):
            while self.tasks:
                self.stop()
                done, _ = ray.wait([*self.tasks], num_returns=len(self.tasks), timeout=_POLL_SECONDS)
                for ref in done:
                    del self.tasks[ref]
                if self.executor._force:
                    for ref in self.tasks:
                        ray.cancel(ref, force=True)


class _Board:
    """What driver and workers tell each other of open tasks."""

    def __init__(self) -> None:
        self._open: dict[int, dict[int, Sequence[int]]] = {}  # counters by call and task
        self._stopped: set[int] = set()

    def note(self, call: int, task: int, counters: Sequence[int]) -> bool:
        """Whether the call is to stop."""
        if any(counters):
            self._open.setdefault(call, {})[task] = counters
        else:
            self.forget(call, task)
        return call in self._stopped

    def counters(self, call: int) -> list[int]:
        return [sum(amounts) for amounts in zip(*self._open.get(call, {}).values(), strict=True)] or [0, 0, 0]

    def forget(self, call: int, task: int) -> None:
        self._open.get(call, {}).pop(task, None)

    def stop(self, call: int) -> None:
        self._stopped.add(call)


class _BoardWatch:
    """The watch of a task: what it counts goes to the board once a second, and comes back as whether to stop."""

    def __init__(self, board: Any, call: int, task: int, losses: int) -> None:
        self._board, self._call, self._task, self.losses = board, call, task, losses
        self._counters = [0, 0, 0]
        self._told = 0.0

    def check_stop(self) -> None:
        if time.monotonic() - self._told < _POLL_SECONDS:
            return
        ray = _ray()
        try:
            is_stopped = ray.get(self._board.note.remote(self._call, self._task, self._counters))
        except ray.exceptions.RayError:  # the board is started anew; with the driver, Ray ends this process, too
            is_stopped = False
        self._told = time.monotonic()
        if is_stopped:
            raise Interrupted("interrupted")

    def advance(self, documents: int, kept: int, num_bytes: int) -> None:
        amounts = (documents, kept, num_bytes)
        self._counters = [count + amount for count, amount in zip(self._counters, amounts, strict=True)]

    def end(self) -> None:
        self._board.note.remote(self._call, self._task, [0, 0, 0])


class _Worker:
    """A worker process, and the call for which it is prepared."""

    call: ClassVar[_Call | None] = None

    @classmethod
    def prepared(cls, number: int, packed_call: Sequence[Any], objects: Mapping[str, Any]) -> _Call:
        if cls.call is None or cls.call.number != number:
            write_apart()
            call: _Call = unpacked(_ray().get(packed_call[0]))
            for name, value in call.environment.items():
                os.environ.setdefault(name, value)
            with suppress(OSError):  # not there: paths are to be absolute, or URLs
                os.chdir(call.cwd)
            mirror.forget(call.deleted)
            folder = scratch.shared_folder(call.scratch) / "files"
            brought.bring({name: _copy(folder, files, objects) for name, files in call.files.items()})
            cls.call = call
        else:
            mirror.forget()
        return cls.call


def _run(
    number: int,
    call: Sequence[Any],
    board: Any,
    task_number: int,
    losses: int,
    task: bytes,
    objects: Mapping[str, Any],
) -> bytes:
    """Run a task in a worker. Its result, or the error that a user is to read, as bytes."""
    watch = _BoardWatch(board, number, task_number, losses)
    try:
        prepared = _Worker.prepared(number, call, objects)
        watch.check_stop()
        if prepared.job is not None:
            _require_locked(prepared.job)
        result = prepared.fn(unpacked(task), watch)
        if prepared.job is not None and prepared.boot != boot_id() and not mirror.is_mirrored(prepared.job.folder):
            sync_disk(prepared.job.folder)  # the driver syncs for its own machine only
        return packed(result)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)  # as if the kernel had killed the worker: the task runs again
    except RemoteError as error:
        return packed(RunError(f"the folder's lock cannot be read: {error}; the same command resumes"))
    except GristmillError as error:
        there = "" if _Worker.call is None or _Worker.call.boot == boot_id() else f" (on node {os.uname().nodename})"
        return packed(type(error)(mirror.shown(str(error)) + there))
    finally:
        watch.end()


def _require_locked(job: Job) -> None:
    """RunError where this machine does not see the folder that the driver has locked, or another has it now."""
    owner = owner_of(job.folder)
    if owner is None:
        raise RunError(
            f"{mirror.shown(str(job.folder.absolute()))}: node {os.uname().nodename} does not see this folder as the "
            "driver has it; a run on several machines needs an --out on a disk that all share, or a URL (s3://)"
        )
    if owner.token != job.token:
        raise RunError(f"{mirror.shown(str(job.folder))}: its lock was taken over by {owner}; the same command resumes")


def _files_of(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())


def _copy(folder: Path, files: _Files, objects: Mapping[str, Any]) -> Path:
    """These files in a folder of this node, where another worker may have put them already."""
    root = folder / hashlib.sha256(repr(files).encode()).hexdigest()[:16]
    for name, sha256 in files:
        if not (root / name).exists():
            with atomic_file(root / name, synced=False, private=True, several=True) as file:
                file.write(_ray().get(objects[sha256]))
    return root / Path(files[0][0]).parts[0]


@dataclass(frozen=True)
class _Node:
    num_cpus: int
    memory: int  # bytes that Ray gives to tasks


def _nodes() -> list[_Node]:
    """The nodes that run tasks."""
    alive = (node["Resources"] for node in _ray().nodes() if node["Alive"])
    return [_Node(int(has["CPU"]), int(has["memory"])) for has in alive if has.get("CPU", 0) >= 1]


def _beside_driver(actor: type) -> Any:
    """An actor on the driver's node, which lives and dies with it."""
    ray = _ray()
    here = ray.get_runtime_context().get_node_id()
    options = {"num_cpus": 0, "max_restarts": -1, "scheduling_strategy": _on_node(here)}
    return ray.remote(actor).options(**options).remote()


def _on_node(node: str) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node_id=node, soft=False)


def _clean_nodes(name: str) -> None:
    """Remove on all nodes what the driver whose scratch folder has this name has left in their scratch."""
    ray = _ray()
    clean = ray.remote(scratch.remove_shared)
    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    cleaning = [clean.options(num_cpus=0, scheduling_strategy=_on_node(node)).remote(name) for node in nodes]
    ray.wait(cleaning, num_returns=len(cleaning), timeout=_CLEANING_SECONDS)


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]


def _losses() -> tuple[type[Exception], ...]:
    """What Ray raises where a task is lost with its worker or its node."""
    known = _ray().exceptions
    return (
        known.WorkerCrashedError,
        known.NodeDiedError,
        known.OutOfMemoryError,
        known.LocalRayletDiedError,
        known.ObjectLostError,
        known.TaskUnschedulableError,
    )


def _ray() -> Any:
    """Ray, where it is installed. It is imported late: it takes half a second."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise UserError("--executor ray: needs the extra `ray`: pip install 'gristmill[ray]'") from None
    return ray
