"""The lock of a folder on a disk, also where several machines share the disk and flock says nothing."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shards import lease, lock
from shards.errors import RunError, UserError
from shards.lease import LOCK, Owner
from shards.lock import locked

HOLD = """
import fcntl, sys
from pathlib import Path
from shards import lease, lock
from shards.lock import locked

machine, beat_s, has_flock = sys.argv[2], float(sys.argv[3]), sys.argv[4] == "True"
if machine:
    lease._machine = lambda: machine
if not has_flock:
    lock._flock = lambda handle: None
lease.BEAT_S = beat_s
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
print("released", flush=True)
"""
NODE = "another boot pid:[1]"


@contextmanager
def holder(
    folder: Path, machine: str = "", *, beat_s: float = 15.0, has_flock: bool = True
) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock of the folder, on this machine or another one, until its input ends."""
    words = [sys.executable, "-c", HOLD, str(folder), machine, str(beat_s), str(has_flock)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def refuses(folder: Path, says: str) -> None:
    with pytest.raises(UserError, match=says), locked(folder, elsewhere="out"):
        pass


@pytest.fixture
def without_flock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk knows no flock, as Lustre where it was mounted without."""

    def fail(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", fail)


def age(folder: Path, seconds: float) -> None:
    """Let the last heartbeat be so long ago."""
    then = (folder / LOCK).stat().st_mtime - seconds
    os.utime(folder / LOCK, (then, then))


def test_a_folder_is_made_and_free_again_after_the_block(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "run"
    for _ in range(2):
        with locked(folder):
            owner = Owner.parse((folder / LOCK).read_bytes())
            assert owner is not None
            assert owner.pid == os.getpid()
        assert [*folder.iterdir()] == []


def test_another_process_keeps_the_folder_until_it_dies_and_is_named(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        says = rf"^{tmp_path}: another gristmill works in this folder: process {process.pid} on \S+, since 20.* UTC; "
        refuses(tmp_path, f"{says}wait for it or choose another out$")
        kill(process)
        assert (tmp_path / LOCK).exists()
        with locked(tmp_path):
            pass
    assert [*tmp_path.iterdir()] == []


def test_a_process_on_another_machine_keeps_the_folder_as_long_as_it_was_heard_of(tmp_path: Path) -> None:
    with holder(tmp_path, NODE, has_flock=False) as process:
        refuses(tmp_path, f"process {process.pid} on .*, last heard 0 s ago; .* the folder is free 60 s after that")
        kill(process)
        refuses(tmp_path, f"process {process.pid} on ")
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


def test_a_folder_that_was_released_is_free_on_every_machine_at_once(tmp_path: Path) -> None:
    with holder(tmp_path, NODE, has_flock=False) as process:
        assert process.communicate()[0] == "released\n"
        with locked(tmp_path):
            pass


def test_a_silent_process_on_another_machine_has_lost_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_WATCH_S", 0.1)
    monkeypatch.setattr(lock, "_SETTLE_S", 0.0)
    with holder(tmp_path, NODE, beat_s=0.05, has_flock=False) as process:
        kill(process)
        age(tmp_path, 61)
        with locked(tmp_path) as ours:
            assert ours.is_ours()


@pytest.mark.parametrize("ahead_s", [-3600, 3600])
def test_a_process_whose_clock_differs_by_an_hour_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead_s: int
) -> None:
    """Lustre takes times from the clocks of its clients."""
    monkeypatch.setattr(lock, "_WATCH_S", 0.5)
    with holder(tmp_path, NODE, beat_s=0.01, has_flock=False) as process:
        monkeypatch.setattr(lock._FileLease, "_silent_s", lambda _: float(ahead_s))
        refuses(tmp_path, f"process {process.pid} on .*, last heard 0 s ago")


def test_without_flock_a_dead_process_of_this_machine_is_known_by_its_pid(tmp_path: Path, without_flock: None) -> None:
    with holder(tmp_path, has_flock=False) as process:
        refuses(tmp_path, f"process {process.pid} on ")
        kill(process)
        with locked(tmp_path):
            refuses(tmp_path, f"process {os.getpid()} on ")


def test_of_two_that_come_to_a_free_folder_without_flock_one_has_it(tmp_path: Path) -> None:
    script = HOLD.replace("with locked", "from shards.errors import UserError\nwith locked")
    words = [sys.executable, "-c", script, str(tmp_path), NODE, "15", "False"]
    both = [
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = []
    while sum(process.poll() is not None for process in both) < 1:
        time.sleep(0.01)
    for process in both:
        said += [process.communicate()]
    assert sorted(out for out, _ in said) == ["", "held\nreleased\n"]
    assert any("another gristmill works in this folder: process" in error for _, error in said)


OTHER = Owner("node7", 1, "", "", "now", "x")
LOST = (
    "its lock was taken over by process 1 on node7, since now UTC; nothing more is written, the same command resumes$"
)


@contextmanager
def locked_and_lost(folder: Path) -> Iterator[lease.Lease]:
    """The lease of a folder that another machine takes over, which finds that at the end too."""
    held = locked(folder)
    ours = held.__enter__()
    ours.check()
    (folder / LOCK).write_bytes(OTHER.to_bytes())
    yield ours
    with pytest.raises(RunError, match=f"^{folder}: {LOST}"):
        held.__exit__(None, None, None)


def test_who_loses_the_folder_hears_of_it_at_the_latest_at_the_end_and_leaves_the_lock(tmp_path: Path) -> None:
    with locked_and_lost(tmp_path):
        pass
    assert Owner.parse((tmp_path / LOCK).read_bytes()) == OTHER


def test_who_loses_the_folder_does_nothing_more_that_is_checked(tmp_path: Path) -> None:
    done: list[int] = []
    with locked_and_lost(tmp_path) as ours, pytest.raises(RunError, match=LOST):
        ours.checked(done.append)(1)
    assert not done


def test_who_loses_the_folder_hears_of_it_at_the_next_heartbeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.01)
    with locked_and_lost(tmp_path) as ours:
        while not ours.lost:
            time.sleep(0.01)


def test_the_file_is_renewed_as_long_as_the_folder_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.01)
    with locked(tmp_path):
        age(tmp_path, 100)
        aged = (tmp_path / LOCK).stat().st_mtime
        while (tmp_path / LOCK).stat().st_mtime <= aged + 90:
            time.sleep(0.01)


def test_an_empty_file_is_one_of_an_owner_that_was_killed_before_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_LOOK_S", 0.01)
    (tmp_path / LOCK).touch()
    with locked(tmp_path):
        pass


def test_a_file_where_the_folder_should_be_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file: cannot be written: .*; choose a folder"), locked(tmp_path / "file"):
        pass
