import subprocess
import sys
from pathlib import Path

import pytest

from shards.errors import UserError
from shards.lock import locked

HOLD = """
import sys; from pathlib import Path; from shards.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_made_and_free_again_after_the_block(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path / "deep" / "run"):
            assert (tmp_path / "deep" / "run").is_dir()


def test_another_process_keeps_the_folder_until_it_dies(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with (
        pytest.raises(UserError, match=r"another gristmill works .* choose another out$"),
        locked(tmp_path, elsewhere="out"),
    ):
        pass
    holder.kill()
    holder.communicate()
    with locked(tmp_path):
        pass


def test_a_file_where_the_folder_should_be_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file: cannot be written: .*; choose a folder"), locked(tmp_path / "file"):
        pass
