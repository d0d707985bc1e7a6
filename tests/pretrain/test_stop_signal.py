import signal
from threading import Thread

import pytest

from pretrain.stop_signal import stop_on_signal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_sets_the_event_and_the_second_acts_as_before(number: signal.Signals) -> None:
    seen: list[int] = []
    before = signal.signal(number, lambda got, frame: seen.append(got))
    try:
        with stop_on_signal() as stop:
            assert not stop.is_set()
            signal.raise_signal(number)
            assert stop.is_set()
            assert not seen
            signal.raise_signal(number)
            assert seen == [number]
        signal.raise_signal(number)
        assert seen == [number, number]
    finally:
        signal.signal(number, before)


def test_another_thread_than_the_main_one_gets_an_event_that_no_signal_sets() -> None:
    events = []

    def enter() -> None:
        with stop_on_signal() as stop:
            events.append(stop.is_set())

    thread = Thread(target=enter)
    thread.start()
    thread.join()
    assert events == [False]
