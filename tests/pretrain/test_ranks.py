"""One process is a rank without a group; several are joined by torchrun, in test_parallel.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pretrain.ranks import Ranks, joined, leads
from shards.errors import UserError

SCRIPT = """
import sys
from pretrain.ranks import joined
from shards.errors import RunError

with joined() as ranks:
    with ranks.leader_first():
        if sys.argv[1] == "leader":
            raise RunError("the plan is damaged")
    if sys.argv[1] == "other" and not ranks.leads:
        raise RunError("a token shard is damaged")
    while True:
        import torch
        ranks.sum(torch.ones(1))
"""


def test_one_process_needs_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    with joined() as ranks, ranks.leader_first():
        assert (ranks, ranks.leads, leads()) == (Ranks(), True, True)
        assert ranks.sum(torch.ones(2)).tolist() == [1, 1]


def test_only_the_rank_that_leads_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert not leads()


def test_a_batch_that_ranks_cannot_share_is_refused() -> None:
    assert Ranks(1, 4).rows_of(8) == 2
    with pytest.raises(UserError, match=r"batch_size 6 does not divide by the 4 processes of torchrun"):
        Ranks(1, 4).rows_of(6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "message"), [("leader", "the plan is damaged"), ("other", "a token shard is damaged")]
)
def test_an_error_of_one_rank_ends_all_and_is_told_once(tmp_path: Path, where: str, message: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*command, str(script), where], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode != 0
    told = [line for line in done.stderr.splitlines() if "shards.errors." in line]
    assert len(told) == 1, done.stderr
    assert told[0].endswith(f"RunError: {message}")


@pytest.mark.parametrize(("world", "said"), [("1", "trained\nending\n"), ("2", "trained\n")])
def test_one_rank_of_several_ends_without_the_end_of_python(world: str, said: str) -> None:
    code = (
        "import atexit\n"
        "from pretrain.ranks import end_rank\n"
        "atexit.register(print, 'ending')\n"
        "print('trained')\n"
        "end_rank()\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=os.environ | {"WORLD_SIZE": world}, capture_output=True, text=True, check=True)
    assert done.stdout == said
