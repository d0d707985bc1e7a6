"""Executors: a pool and one process give the same results, stop on a signal, and say what went wrong."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pipelines.executors import Executor, InProcess, ProcessPool, Watch, make_executor, parse_memory
from shards.errors import RunError, UserError

EXECUTORS = [pytest.param(InProcess, id="in-process"), pytest.param(lambda: ProcessPool(2), id="pool")]
both = pytest.mark.parametrize("make", EXECUTORS)
Make = Callable[[], Executor]


# Tasks stand at the top of the module: a pool sends them by name.
def square(number: int) -> int:
    return number * number


def half_of_even(number: int) -> int:
    if number % 2:
        raise UserError(f"{number} is odd")
    return number // 2


def count_down(number: int) -> int:
    return number - 1


def advance_once(number: int, watch: Watch) -> int:
    watch.advance(number, 1, 10)
    return number


def end_process(_: int) -> None:
    os._exit(9)


def killed_twice(folder: Path, number: int) -> int:
    if number in (2, 4) and not (marker := folder / f"{number}").exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def starved_once(folder: Path, number: int) -> int:
    if not (marker := folder / "starved").exists():
        marker.touch()
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, resource.RLIM_INFINITY))
        bytearray(64 << 30)
    return number


def own_pid(_: int) -> int:
    return os.getpid()


class TwoWords(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


def fail_in_two_words(_: int) -> None:
    raise TwoWords("one", "two")


def one_less(result: int) -> list[int]:
    return [result] if result > 0 else []


class CountingWatch:
    """A watch as a task of another executor has it."""

    losses = 0

    def __init__(self) -> None:
        self.counters = [0, 0, 0]
        self.num_checks = 0

    def check_stop(self) -> None:
        self.num_checks += 1

    def advance(self, documents: int, kept: int, num_bytes: int) -> None:
        self.counters = [a + b for a, b in zip(self.counters, (documents, kept, num_bytes), strict=True)]


@both
def test_every_task_has_one_result(make: Make) -> None:
    with make() as executor:
        assert sorted(executor.map(square, range(20))) == [n * n for n in range(20)]
        assert sorted(executor.map(square, [])) == []


@both
def test_an_executor_runs_one_map_after_the_other(make: Make) -> None:
    with make() as executor:
        assert sorted(executor.map(count_down, [1, 2])) == [0, 1]
        assert sorted(executor.map(square, [1, 2])) == [1, 4]


@both
def test_the_error_of_a_task_is_raised_as_it_was(make: Make) -> None:
    with make() as executor, pytest.raises(UserError, match=r"^7 is odd$"):
        list(executor.map(half_of_even, [2, 4, 7, 8, 10]))


@both
def test_tasks_that_follow_from_a_result_are_run_too(make: Make) -> None:
    with make() as executor:
        assert sorted(executor.map(count_down, [5, 2], one_less)) == sorted([4, 3, 2, 1, 0, 1, 0])


def test_in_one_process_what_follows_from_a_result_comes_before_the_other_tasks() -> None:
    assert list(InProcess().map(count_down, [3, 10, 1], lambda result: [result] if 0 < result < 9 else [])) == [
        *(2, 1, 0),
        *(9, 0),
    ]


def test_in_one_process_the_callers_watch_is_asked_before_each_task_and_counts() -> None:
    watch = CountingWatch()
    executor = InProcess(watch=watch)
    assert list(executor.map_watched(advance_once, [1, 2, 3])) == [1, 2, 3]
    assert watch.counters == [6, 3, 30]
    assert watch.num_checks == 3


def test_in_one_process_progress_is_the_sum_of_what_tasks_have_done() -> None:
    seen: list[list[int]] = []
    list(InProcess().map_watched(advance_once, [1, 2, 3], tick=lambda counters: seen.append([*counters])))
    assert seen == [[1, 1, 10], [3, 2, 20], [6, 3, 30]]


def test_a_task_whose_worker_dies_is_run_again_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ProcessPool(2) as pool:
        assert sorted(pool.map(partial(killed_twice, tmp_path), range(6))) == [*range(6)]
    assert pool.num_lost == 2
    assert caplog.messages == ["a worker process died (killed, or out of memory); its task runs again"] * 2


def test_a_worker_that_is_out_of_memory_gives_way_to_a_new_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ProcessPool(1) as pool:
        assert list(pool.map(partial(starved_once, tmp_path), [1, 2])) == [1, 2]
    assert caplog.messages == ["a worker process died (out of memory); its task runs again"]


def test_a_task_that_no_worker_survives_is_an_error_with_the_remedy() -> None:
    says = (
        r"^a worker process died \(exit code 9\) in each of 3 tries of one task; .* fewer --workers need less memory$"
    )
    with ProcessPool(2) as pool, pytest.raises(RunError, match=says):
        list(pool.map(end_process, [1]))


def test_a_worker_that_is_killed_between_two_maps_is_replaced() -> None:
    with ProcessPool(2) as pool:
        for process in set(pool.map(own_pid, range(20))):
            os.kill(process, signal.SIGKILL)
        assert sorted(pool.map(square, range(5))) == [0, 1, 4, 9, 16]


def test_a_map_that_was_left_early_leaves_no_results_to_the_next() -> None:
    with ProcessPool(2) as pool:
        assert next(iter(pool.map(square, range(20)))) in (0, 1)
        assert sorted(pool.map(count_down, range(5))) == [-1, 0, 1, 2, 3]


def test_an_error_that_cannot_be_sent_is_told_all_the_same() -> None:
    with ProcessPool(1) as pool, pytest.raises(RuntimeError, match="TwoWords: one two"):
        list(pool.map(fail_in_two_words, [1]))


def test_the_command_line_names_an_executor() -> None:
    assert isinstance(make_executor("pool", 3), ProcessPool)
    assert isinstance(make_executor("in-process", 3), InProcess)
    assert make_executor("pool", 3, 4_000_000_000).memory == 4_000_000_000


def test_workers_share_the_memory() -> None:
    one, four = (make_executor("pool", workers, 8_000_000_000).task_memory for workers in (1, 4))
    assert 4 * four < one < 8_000_000_000
    assert make_executor("pool", 64, 500_000_000).task_memory == 64 << 20


@pytest.mark.parametrize(
    ("text", "num_bytes"),
    [
        ("2GB", 2 * 10**9),
        ("500MB", 5 * 10**8),
        ("500000K", 5 * 10**8),
        ("1.5 GiB", 3 << 29),
        (" 2g ", 2 * 10**9),
        ("1tib", 1 << 40),
        ("0.5G", 5 * 10**8),
    ],
)
def test_a_size_of_memory_is_read(text: str, num_bytes: int) -> None:
    assert parse_memory(text) == num_bytes


@pytest.mark.parametrize("text", ["", "2", "2000000000", "GB", "-2GB", "2 GB each", "2PB", "1,5GB", "inf GB", "2iB"])
def test_what_is_no_size_of_memory_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="expected a size as 2GB or 500MB"):
        parse_memory(text)


@pytest.mark.parametrize("text", ["0GB", "499MB", "499999K"])
def test_too_little_memory_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="too little for a process to start; give 500MB or more"):
        parse_memory(text)


# Signals, in a process of their own, which a hanging executor cannot take the tests along with.

SCRIPT = """
import signal, sys, time
from pipelines.executors import InProcess, ProcessPool
from shards.errors import Interrupted

def wait_for_stop(seconds, watch):
    "Ends when its watch raises Interrupted, and so does not hang where the signal is lost."
    print("began", flush=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        watch.check_stop()
        time.sleep(0.01)

def nothing(task):
    return task
"""
STOPPED = """
if __name__ == "__main__":
    with {executor} as executor:
        try:
            list(executor.map_watched(wait_for_stop, [60]))
        except Interrupted:
            print("interrupted", flush=True)
    print("before" if signal.getsignal(signal.SIGINT) is signal.default_int_handler else "changed", flush=True)
"""


def script(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT + text)
    return [sys.executable, str(path)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}


@pytest.mark.parametrize("executor", ["InProcess()", "ProcessPool(1)"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_open_task_and_the_handlers_are_put_back(
    tmp_path: Path, executor: str, number: signal.Signals
) -> None:
    command = script(tmp_path, STOPPED.format(executor=executor))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "began\n"
        process.send_signal(number)
        printed, _ = process.communicate(timeout=30)
    assert printed.split() == ["interrupted", "before"]
    assert process.returncode == 0


PAIRS = """
import os, random, signal, sys, time
from pipelines import cli
from pipelines.executors import InProcess, ProcessPool

def step(task, watch):
    watch.check_stop()
    time.sleep(0.001)
    return task

def child(began, said):
    def run(**_):
        with {executor} as executor:
            for result in executor.map_watched(step, range(100_000)):
                if result == 0:
                    os.write(began, b"x")

    os.dup2(said, 2)
    sys.argv = ["gristmill", "run"]
    cli.app = run
    cli.main()

def trial(gap, signals):
    "(exit code, what was said) of a command that gets two signals."
    (was_begun, began), (hear, said) = os.pipe(), os.pipe()
    process = os.fork()
    if not process:
        child(began, said)
    os.close(began), os.close(said)
    os.read(was_begun, 1)
    os.kill(process, signals[0])
    until = time.perf_counter() + gap
    while time.perf_counter() < until:
        pass
    try:
        os.kill(process, signals[1])
    except ProcessLookupError:
        pass
    late = time.monotonic() + 30
    while (ended := os.waitpid(process, os.WNOHANG))[0] == 0:
        if time.monotonic() > late:
            os.kill(process, signal.SIGKILL)
        time.sleep(0.001)
    text = b""
    while part := os.read(hear, 1 << 12):
        text += part
    os.close(hear), os.close(was_begun)
    return os.waitstatus_to_exitcode(ended[1]), text.decode()

if __name__ == "__main__":
    draw = random.Random(1)
    for _ in range({trials}):
        signals = draw.choices((signal.SIGINT, signal.SIGTERM), k=2)
        code, text = trial(draw.uniform(0, {longest_gap}), signals)
        if code != 130 or text.count("\\n") != 1 or not text.startswith("gristmill: interrupted"):
            print(signals, code, repr(text))
"""


def failed_pairs(tmp_path: Path, **settings: object) -> str:
    command = script(tmp_path, PAIRS.format(**settings))
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment()).stdout


def test_two_signals_in_quick_succession_end_a_command_with_one_line_and_exit_code_130(tmp_path: Path) -> None:
    """200 pairs, 0 to 100 µs apart."""
    assert failed_pairs(tmp_path, executor="InProcess()", trials=200, longest_gap=1e-4) == ""


@pytest.mark.slow
@pytest.mark.parametrize("longest_gap", [1e-4, 0.1])  # the second signal often comes while the pool is being closed
def test_so_does_a_pool(tmp_path: Path, longest_gap: float) -> None:
    assert failed_pairs(tmp_path, executor="ProcessPool(1)", trials=5, longest_gap=longest_gap) == ""
