import subprocess
import sys
from pathlib import Path

import pytest

from shards.atomic import atomic_file, disk_error, write_bytes
from shards.errors import RunError, UserError


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "file"
    write_bytes(target, b"old")

    def fail_half_way() -> None:
        with atomic_file(target) as file:
            file.write(b"half of the new")
            raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        fail_half_way()
    assert target.read_bytes() == b"old"
    assert [p.name for p in target.parent.iterdir()] == ["file"]


def test_a_kill_before_the_rename_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_bytes(target, b"old")
    script = (
        "import os, signal, sys; from pathlib import Path; from shards.atomic import atomic_file\n"
        "with atomic_file(Path(sys.argv[1])) as f:\n    f.write(b'new')\n    f.flush()\n    "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(target)], check=False)
    assert killed.returncode == -9
    assert target.read_bytes() == b"old"
    write_bytes(target, b"newer")
    assert target.read_bytes() == b"newer"
    assert not target.with_name("file.part").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_named_with_its_remedy() -> None:
    try:
        with Path("/dev/full").open("wb", buffering=0) as file:
            file.write(b"x")
    except OSError as error:
        full = disk_error(Path("shard.arrow"), error)
    assert isinstance(full, RunError)
    assert "shard.arrow: the disk is full" in str(full)
    assert "resumes" in str(full)


def test_a_folder_without_right_to_write_is_the_users_mistake() -> None:
    denied = disk_error(Path("x"), PermissionError(13, "Permission denied"))
    assert isinstance(denied, UserError)
    assert denied.exit_code == 2
