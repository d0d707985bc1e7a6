"""How long failing requests are tried again."""

import pytest

from shards import remote
from shards.remote import Passing, Patience, RemoteError


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits, which pass at once."""
    waits: list[float] = []
    monkeypatch.setattr(remote.time, "sleep", waits.append)
    return waits


def test_waits_double_up_to_a_limit_and_end(slept: list[float]) -> None:
    patience = Patience()
    for _ in range(9):
        patience.wait(Passing("busy"))
    with pytest.raises(
        RemoteError, match=r"^busy, 10 times in a row; check the address, or run the same command again later$"
    ):
        patience.wait(Passing("busy"))
    limits = [min(15, 0.1 * 2**i) for i in range(9)]
    assert len(slept) == 9
    assert all(limit / 2 <= wait <= limit for wait, limit in zip(slept, limits, strict=True))


def test_progress_renews_the_patience(slept: list[float]) -> None:
    patience = Patience()
    for _ in range(100):
        patience.wait(Passing("busy"))
        patience.renew()
    assert max(slept) <= 0.1


def test_a_server_is_given_the_time_that_it_asks_for(slept: list[float]) -> None:
    Patience().wait(Passing("busy", 120))
    assert slept == [120]
    with pytest.raises(RemoteError, match=r"^busy, and asks to wait 121 s; run the same command again then$"):
        Patience().wait(Passing("busy", 121))


def test_a_silent_server_is_given_up_after_three_minutes(slept: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 61))
    monkeypatch.setattr(remote.time, "monotonic", lambda: next(clock))
    patience = Patience()
    patience.wait(Passing("silent"))
    patience.wait(Passing("silent"))
    with pytest.raises(
        RemoteError, match=r"^silent, 3 times in a row; check the address, or run the same command again later$"
    ):
        patience.wait(Passing("silent"))
