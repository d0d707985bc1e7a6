"""Standard streams that the caller has closed, or that nobody reads any more, end no command."""

import subprocess
import sys
from pathlib import Path

import pytest
from case_run import copy_case

from pipelines.run.folder import RunFolder

RUN = "run recipe.toml --out out --executor pool --workers 1"


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of a POSIX shell, in which `gristmill` is ours."""
    function = f'gristmill() {{ "{sys.executable}" -m pipelines "$@"; }}; '
    return subprocess.run(["sh", "-c", function + line], cwd=folder, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("closing", ["2>&-", "<&- >&- 2>&-"])
def test_a_run_goes_on_without_progress(tmp_path: Path, closing: str) -> None:
    folder = copy_case("37", tmp_path)
    done = shell(folder, f"gristmill {RUN} {closing}")
    assert (done.returncode, done.stderr) == (0, "")
    assert RunFolder(folder / "out").is_done()
    assert done.stdout == "" or "1 document in, 1 kept" in done.stdout


@pytest.mark.parametrize("closing", [">&-", "<&- >&- 2>&-"])
def test_other_commands_keep_their_exit_codes(tmp_path: Path, closing: str) -> None:
    assert shell(tmp_path, f"gristmill recipes {closing}").returncode == 0
    assert shell(tmp_path, f"gristmill status missing {closing}").returncode == 2


def test_a_reader_that_has_read_enough_ends_a_command_quietly(tmp_path: Path) -> None:
    for words in ("recipes", "--help"):
        done = shell(tmp_path, f"gristmill {words} | head -1 >/dev/null; gristmill {words} | true")
        assert (done.returncode, done.stderr) == (0, ""), words
    done = shell(tmp_path, "{ gristmill status missing; } 2>&1 >/dev/null | true")
    assert done.stderr == ""


def test_a_full_disk_behind_standard_output_is_one_line(tmp_path: Path) -> None:
    done = shell(tmp_path, "gristmill recipes >/dev/full")
    assert done.returncode == 1
    assert done.stderr == "gristmill: standard output: the disk is full; free some space and ask again\n"
