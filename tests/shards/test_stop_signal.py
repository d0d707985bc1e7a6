"""The first signal asks for a stop, the next one ends the process; no handler takes a lock."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from shards.stop_signal import stop_on_signal

both = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@pytest.fixture
def seen() -> Iterator[list[int]]:
    """The signals that reach the handlers which stood before."""
    seen: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda got, frame: seen.append(got))
    yield seen
    for number, handler in before.items():
        signal.signal(number, handler)


@both
def test_the_first_signal_sets_the_flag_and_the_second_acts_as_before(number: signal.Signals, seen: list[int]) -> None:
    with stop_on_signal() as stop:
        assert not stop.is_set
        signal.raise_signal(number)
        assert stop.is_set
        assert not seen
        signal.raise_signal(number)
        assert seen == [number]
    signal.raise_signal(number)
    assert seen == [number, number]


@both
def test_the_second_signal_escalates_and_the_third_acts_as_before(number: signal.Signals, seen: list[int]) -> None:
    escalations: list[bool] = []
    with stop_on_signal(lambda: escalations.append(True)) as stop:
        signal.raise_signal(number)
        assert (stop.is_set, escalations) == (True, [])
        signal.raise_signal(number)
        assert (escalations, seen) == ([True], [])
        signal.raise_signal(number)
        assert (escalations, seen) == ([True], [number])


def test_another_thread_than_the_main_one_gets_a_flag_that_no_signal_sets() -> None:
    flags = []

    def enter() -> None:
        with stop_on_signal() as stop:
            flags.append(stop.is_set)

    thread = Thread(target=enter)
    thread.start()
    thread.join()
    assert flags == [False]


COMMAND = """
import signal
from shards.stop_signal import command_signals, ignore_signals, stop_on_signal

command_signals("mill: interrupted")
{body}
"""


@pytest.mark.parametrize(
    ("body", "code", "printed"),
    [
        ("try:\n    {raise_it}\nexcept KeyboardInterrupt:\n    print('caught')", 0, "caught\n"),
        ("try:\n    {raise_it}\nexcept KeyboardInterrupt:\n    {raise_it}", 130, "mill: interrupted\n"),
        ("with stop_on_signal() as stop:\n    {raise_it}\nprint(stop.is_set)\n{raise_it}", 130, "mill: interrupted\n"),
        ("with stop_on_signal() as stop:\n    {raise_it}\n    {raise_it}", 130, "mill: interrupted\n"),
        ("ignore_signals()\n{raise_it}\nprint('ended by itself')", 0, "ended by itself\n"),
    ],
)
@both
def test_a_command_ends_at_the_second_signal(number: signal.Signals, body: str, code: int, printed: str) -> None:
    script = COMMAND.format(body=body.format(raise_it=f"signal.raise_signal({int(number)})"))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == code, done.stderr
    assert printed in (done.stdout, done.stderr)
