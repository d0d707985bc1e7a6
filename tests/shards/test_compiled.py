"""Compiled functions do not outlive the sources that they were made of, and find a folder that can be written."""

import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from unprivileged import run_unprivileged

from shards.compiled import _imports, drop_stale, temporary_folder
from shards.errors import UserError


def test_a_stored_function_is_dropped_when_a_module_that_it_imports_is_newer(tmp_path: Path) -> None:
    files = {
        "cleaners/a.py": "from dedup.deep import (\n    b,\n    other,\n)\nfrom elsewhere import x\n",
        "dedup/deep/__init__.py": "",
        "dedup/deep/b.py": "from shards.c import LIMIT  # a constant\n",
        "shards/c.py": "LIMIT = 3\n",
        "shards/unrelated.py": "",
        "cleaners/__pycache__/a.f-1.py311.nbi": "",
        "cleaners/__pycache__/ab.f-1.py311.nbi": "",
    }
    for number, (name, text) in enumerate(files.items(), 1):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, ns=(number, number))
    stored = tmp_path / "cleaners/__pycache__/a.f-1.py311.nbi"

    def dropped(changed: str) -> bool:
        os.utime(tmp_path / changed, ns=(9, 9))
        drop_stale.cache_clear()
        _imports.cache_clear()
        drop_stale(tmp_path / "cleaners/a.py", stored.parent, tmp_path)
        return not stored.exists()

    assert not dropped("shards/unrelated.py")
    assert dropped("shards/c.py")
    assert (tmp_path / "cleaners/__pycache__/ab.f-1.py311.nbi").exists(), "of another module"


def test_a_source_from_the_future_does_not_drop_what_was_compiled_now(tmp_path: Path) -> None:
    source, stored = tmp_path / "shards/a.py", tmp_path / "shards/__pycache__/a.f-1.py311.nbi"
    stored.parent.mkdir(parents=True)
    source.touch()
    stored.touch()
    os.utime(source, ns=(1 << 62, 1 << 62))
    drop_stale(source, stored.parent, tmp_path)
    assert stored.exists()


MILL = """
from shards.compiled import kernel

@kernel
def grind(corn):
    return corn + {added}

if __name__ == "__main__":
    print(grind(1), sum(grind.stats.cache_hits.values()), grind.stats.cache_path)
"""


@pytest.fixture
def no_home(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """A module in a folder that cannot be written, and the environment of a user without a home."""
    read_only, temporary = tmp_path / "installed", tmp_path / "tmp"
    read_only.mkdir()
    temporary.mkdir()
    (read_only / "mill.py").write_text(MILL.format(added=1))
    read_only.chmod(0o555)
    yield {"PYTHONPATH": Path(__file__).parents[2], "HOME": read_only, "TMPDIR": temporary}
    read_only.chmod(0o755)


def grind(environment: dict[str, Path]) -> subprocess.CompletedProcess[str]:
    return run_unprivileged(environment["HOME"] / "mill.py", **environment)


def test_without_a_folder_of_its_own_a_kernel_is_stored_in_a_private_temporary_folder(no_home: dict[str, Path]) -> None:
    folder = no_home["TMPDIR"] / f"gristmill-kernels-{os.getuid()}"
    for hits in (0, 1):  # the second process finds what the first has compiled
        done = grind(no_home)
        assert not done.stderr
        assert done.stdout.split()[:2] == ["2", str(hits)]
        assert done.stdout.split()[2].startswith(str(folder))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not [*no_home["HOME"].glob("*cache*")]


def test_numba_cache_dir_is_used_first(no_home: dict[str, Path], tmp_path: Path) -> None:
    done = grind({**no_home, "NUMBA_CACHE_DIR": tmp_path / "chosen"})
    assert done.stdout.split()[2].startswith(str(tmp_path / "chosen"))


def test_a_temporary_folder_that_others_may_write_to_is_refused_in_one_line(no_home: dict[str, Path]) -> None:
    folder = no_home["TMPDIR"] / f"gristmill-kernels-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    done = grind(no_home)
    assert done.stderr.splitlines()[-1] == (
        f"shards.errors.UserError: {folder}: is not a folder of this user alone (mode 700); delete it, or set "
        "NUMBA_CACHE_DIR to a folder that can be written"
    )


def test_a_temporary_folder_that_is_a_link_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / f"gristmill-kernels-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is not a folder of this user alone"):
        temporary_folder()


def test_where_no_temporary_folder_can_be_written_one_line_says_what_to_set(no_home: dict[str, Path]) -> None:
    no_home["TMPDIR"].chmod(0o555)
    done = run_unprivileged(
        "-c",
        "import tempfile; tempfile._candidate_tempdir_list = lambda: [tempfile._os.environ['TMPDIR']]\n"
        "from shards.compiled import temporary_folder; temporary_folder()",
        **no_home,
    )
    assert re.fullmatch(
        r"shards\.errors\.UserError: .*: no folder can keep compiled functions; set NUMBA_CACHE_DIR to a folder that "
        "can be written",
        done.stderr.splitlines()[-1],
    )


COUNTED = """
from pathlib import Path
from numba.core import event
from shards.compiled import kernel
from other import add

class Listener(event.Listener):
    def on_start(self, found):
        with Path("compiled").open("a") as file:
            file.write(found.data["dispatcher"].py_func.__name__ + "\\n")
    def on_end(self, found): ...

@kernel
def grind(corn):
    return add(corn) + 2

if __name__ == "__main__":
    event.register("numba:compile", Listener())
    print(grind(1))
"""


def test_of_many_processes_one_compiles_each_function(tmp_path: Path) -> None:
    (tmp_path / "mill.py").write_text(COUNTED)
    (tmp_path / "other.py").write_text(
        "from shards.compiled import kernel\n\n@kernel\ndef add(corn):\n    return corn + 1\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "mill.py"]
    processes = [
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(5)
    ]
    assert [process.communicate()[0] for process in processes] == ["4\n"] * 5
    assert sorted((tmp_path / "compiled").read_text().split()) == ["add", "grind"]
