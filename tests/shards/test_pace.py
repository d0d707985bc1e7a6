"""Requests to one host are paced for all processes of the machine."""

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from shards import scratch
from shards.errors import UserError
from shards.pace import Pace


@pytest.fixture(autouse=True)
def _own_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRISTMILL_SCRATCH", str(tmp_path))


def ask(number: int) -> None:
    pace = Pace("http://host/", 50)
    for _ in range(number):
        pace.wait()


def test_processes_share_the_slots_of_a_host() -> None:
    began = time.monotonic()
    processes = [multiprocessing.get_context("fork").Process(target=ask, args=(5,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert time.monotonic() - began >= 14 / 50  # 15 slots; the first is at once


def test_a_hold_is_for_everybody_and_for_one_host() -> None:
    Pace("http://user:secret@host/a", 1000).hold(1.0)
    began = time.monotonic()
    Pace("http://other/", 1000).wait()
    assert time.monotonic() - began < 1.0
    Pace("http://host/b", 1000).wait()
    assert time.monotonic() - began >= 0.99
    assert not any("secret" in path.name for path in scratch.notes().iterdir())


def test_a_slot_of_another_start_of_the_machine_is_forgotten() -> None:
    Pace("http://host/", 1000).hold(1e9)
    began = time.monotonic()
    Pace("http://host/", 1000).wait()
    assert time.monotonic() - began < 1


def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / f"gristmill-notes-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(UserError, match="only you can use"):
        Pace("http://host/", 1)
