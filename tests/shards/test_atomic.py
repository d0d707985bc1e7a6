import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shards.atomic import atomic_file, disk_error, link_or_copy, write_bytes
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


def test_a_file_gets_a_second_name_which_a_later_write_takes_from_it(tmp_path: Path) -> None:
    source, path = tmp_path / "source", tmp_path / "folder" / "path"
    source.write_bytes(b"rows")
    for _ in range(2):  # the second replaces the first
        link_or_copy(source, path)
    assert path.samefile(source)
    write_bytes(path, b"other rows")
    assert source.read_bytes() == b"rows"


def test_a_file_that_cannot_have_a_second_name_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def on_another_disk(path: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", on_another_disk)
    source, path = tmp_path / "source", tmp_path / "path"
    source.write_bytes(b"rows" * 1_000_000)
    path.write_bytes(b"old")
    link_or_copy(source, path)
    assert path.read_bytes() == source.read_bytes()
    assert not path.samefile(source)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["path", "source"]


def test_two_processes_that_write_apart_write_the_same_file_without_harm(tmp_path: Path) -> None:
    """The first is given up for lost, the second makes its file anew, and the first ends its own in between."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from shards.atomic import atomic_file, write_apart\n"
        "write_apart()\n"
        "with atomic_file(Path(sys.argv[1])) as file:\n"
        "    file.write(b'a' * 1000)\n"
        "    file.flush()\n"
        "    print('half', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    file.write(b'b' * 1000)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", script, str(tmp_path / "x")]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        return process

    whole = b"a" * 1000 + b"b" * 1000
    lost, other = start(), start()
    lost.communicate("go on\n")
    assert (tmp_path / "x").read_bytes() == whole
    other.kill()
    other.communicate()
    assert (tmp_path / "x").read_bytes() == whole
    assert len([*tmp_path.glob("x.*.part")]) == 1, "which a run removes at its end"
