"""The lock of a folder on a real S3 server (moto)."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from s3_server import Faults, Proxy

from shards import lease, mirror, store_lock
from shards.atomic import write_bytes
from shards.errors import RunError, UserError
from shards.lock import locked
from shards.object_store import ObjectStore
from shards.remote import RemoteError

HOLD = "import sys, time; from shards import mirror; from shards.lock import locked\n"
HOLD += "with locked(mirror.local(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"


@contextmanager
def holder(url: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock."""
    known = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])} | environment
    process = subprocess.Popen([sys.executable, "-c", HOLD, url], stdout=subprocess.PIPE, text=True, env=known)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.kill()
        process.wait()


OTHER = b'{"host": "other", "pid": 1, "began": "", "machine": "", "since": "now", "token": "x"}'


def work(folder: Path, happens: Callable[[], object]) -> None:
    """Write files, until that fails; after the first one something happens."""
    for number in range(1000):
        write_bytes(folder / "x", b"")
        if number == 0:
            happens()
        time.sleep(0.01)


def objects(s3: Proxy) -> list[str]:
    return [found.name for found in ObjectStore(s3.folder).below("")]


def test_a_lock_is_there_as_long_as_it_is_held(s3: Proxy) -> None:
    with locked(mirror.local(s3.folder)):
        assert objects(s3) == [".lock"]
    assert objects(s3) == []


def test_the_owner_of_a_lock_is_named(s3: Proxy) -> None:
    says = (
        rf"^{s3.folder}: another gristmill works in this folder: process {os.getpid()} on .*, since .* UTC, last heard "
    )
    with locked(mirror.local(s3.folder)), pytest.raises(UserError, match=says), locked(mirror.local(s3.folder)):
        pass
    assert objects(s3) == []


def test_the_lock_of_a_killed_process_of_this_machine_is_taken_over_at_once(s3: Proxy) -> None:
    with holder(s3.folder) as process:
        with pytest.raises(UserError, match=f"process {process.pid} on"), locked(mirror.local(s3.folder)):
            pass
        process.kill()
        process.wait()
        with locked(mirror.local(s3.folder)):
            assert objects(s3) == [".lock"]


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is on another machine than those that it starts."""
    monkeypatch.setattr(lease, "_machine", lambda: "another")


@pytest.mark.slow
def test_the_lock_of_a_process_elsewhere_is_taken_over_when_it_is_silent(
    s3: Proxy, elsewhere: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with holder(s3.folder) as process:
        process.kill()
        process.wait()
    with pytest.raises(UserError, match="the folder is free 60 s after that"), locked(mirror.local(s3.folder)):
        pass
    monkeypatch.setattr(store_lock, "LAPSE_S", 2.0)
    time.sleep(3)
    with locked(mirror.local(s3.folder)):
        pass
    assert objects(s3) == []


@pytest.mark.slow
def test_a_lock_that_is_renewed_is_not_taken_over(s3: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.3)
    monkeypatch.setattr(store_lock, "LAPSE_S", 2.5)
    with locked(mirror.local(s3.folder)):
        time.sleep(4)
        with pytest.raises(UserError, match="another gristmill works"), locked(mirror.local(s3.folder)):
            pass


def test_who_loses_the_lock_writes_no_more_and_leaves_it_to_its_owner(
    s3: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.05)
    folder = mirror.local(s3.folder)
    says = f"^{s3.folder}: its lock was taken over by process 1 on other, since now UTC; nothing more is written"
    with pytest.raises(RunError, match=says), locked(folder):
        work(folder, lambda: ObjectStore(s3.folder).write(".lock", OTHER))
    assert ".lock" in objects(s3)


def test_who_has_lost_the_lock_hears_of_it_at_the_latest_at_the_end(s3: Proxy) -> None:
    with pytest.raises(RunError, match="taken over by process 1 on other"), locked(mirror.local(s3.folder)):
        ObjectStore(s3.folder).write(".lock", OTHER)
    assert objects(s3) == [".lock"]


def test_who_cannot_renew_the_lock_in_time_writes_no_more(s3: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.05)
    monkeypatch.setattr(lease, "_MAX_LATE_S", 0.0)
    folder = mirror.local(s3.folder)

    def fail(*_: object) -> None:
        raise RemoteError("the server answers 503", "later")

    with pytest.raises(RunError, match="its lock could not be renewed: the server answers 503"), locked(folder):
        work(folder, lambda: monkeypatch.setattr(ObjectStore, "write_if", fail))


@pytest.mark.slow
def test_an_answer_that_was_lost_does_not_lose_the_lock(s3: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.05)
    folder = mirror.local(s3.folder)
    s3.faults = Faults(unanswered_if=0.5)
    with locked(folder):
        for i in range(20):
            write_bytes(folder / f"{i}", b"")
            time.sleep(0.05)
    assert s3.injected["unanswered_if"] > 2
