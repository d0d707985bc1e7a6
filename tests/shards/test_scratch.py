"""Where copies of mirrors lie, and how much room they take."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from s3_server import Proxy

from dedup.files.documents import load_npy, save_npy
from shards import mirror, scratch
from shards.atomic import atomic_file, write_bytes
from shards.errors import UserError


def copies(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_copies_that_were_not_used_for_longest_are_removed_and_fetched_again(
    s3: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRISTMILL_SCRATCH_BYTES", "10000")
    one = mirror.local(s3.folder)
    arrays = {i: np.full(250, i) for i in range(12)}  # 2,128 bytes each in a file
    for i, array in arrays.items():
        save_npy(one / f"{i:02d}.npy", array)
        assert load_npy(one / "00.npy")[0] == 0
    assert "00.npy" in copies(one)
    assert "01.npy" not in copies(one)
    assert sum(path.stat().st_size for path in one.rglob("*")) <= 10_000
    assert all((load_npy(one / f"{i:02d}.npy") == array).all() for i, array in arrays.items())
    assert len(mirror.glob(one, "*.npy")) == 12


def test_a_mapped_copy_stays_readable_when_it_is_removed(s3: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRISTMILL_SCRATCH_BYTES", "1000")
    one = mirror.local(s3.folder)
    save_npy(one / "a.npy", np.arange(100))
    mapped = load_npy(one / "a.npy")
    save_npy(one / "b.npy", np.arange(100))
    assert copies(one) == ["b.npy"]
    assert mapped.sum() == 4950


def test_scratch_of_a_process_and_manifests_stay(s3: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRISTMILL_SCRATCH_BYTES", "10")
    one = mirror.local(s3.folder)
    with atomic_file(one / "owners", private=True) as file:
        file.write(bytes(1000))
    write_bytes(one / "unit.json", bytes(1000))
    write_bytes(one / "unit.arrow", bytes(1000))
    write_bytes(one / "last.arrow", bytes(5))
    assert copies(one) == ["last.arrow", "owners", "unit.json"]


def test_the_folder_of_a_process_goes_with_it_and_that_of_a_killed_one_with_the_next(tmp_path: Path) -> None:
    def mount(more: str) -> None:
        script = f"from shards import mirror; (mirror.local('s3://bucket/x') / 'y').mkdir(parents=True); {more}"
        environment = os.environ | {"GRISTMILL_SCRATCH": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
        subprocess.run([sys.executable, "-c", script], check=False, env=environment)

    mount("")
    assert list(tmp_path.glob("*/*")) == []
    mount("import os; os.kill(os.getpid(), 9)")
    assert len(list(tmp_path.glob("*/*"))) == 2
    mount("")
    assert list(tmp_path.glob("*/*")) == []


def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRISTMILL_SCRATCH", str(tmp_path))
    scratch.base().mkdir(mode=0o777)
    scratch.base().chmod(0o777)
    with pytest.raises(UserError, match="is not a folder of yours that only you can use; set GRISTMILL_SCRATCH"):
        mirror.local("s3://bucket/x")


def test_a_bound_that_is_no_number_is_the_users_mistake(s3: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRISTMILL_SCRATCH_BYTES", "2GB")
    with pytest.raises(UserError, match="GRISTMILL_SCRATCH_BYTES=2GB: expected a number of bytes"):
        write_bytes(mirror.local(s3.folder) / "x", b"")


def test_a_folder_that_processes_share_goes_with_the_last_of_them(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from shards import scratch\n"
        "folder = scratch.shared_folder('0a0b0c0d')\n"
        "(folder / str(len(list(folder.iterdir())))).touch()\n"
        "print(folder, flush=True)\n"
        "sys.stdin.read()\n"
    )
    environment = {**os.environ, "GRISTMILL_SCRATCH": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", script], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline().endswith("0a0b0c0d\n")
        return process

    first, second = start(), start()
    folder = next(tmp_path.glob("gristmill-mirrors-*")) / "0a0b0c0d"
    first.communicate()
    assert copies(folder) == ["0", "1"]
    second.communicate()
    assert not folder.exists()
    start().kill()
    assert folder.exists()
    start().communicate()
    assert not folder.exists()
    assert [*folder.parent.iterdir()] == []
