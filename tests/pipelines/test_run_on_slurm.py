"""A run on Slurm: the file of `gristmill submit` under a stand-in for Slurm, with a real Ray of two nodes."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from command import gristmill
from ledger_runs import LEDGER_RECIPE, make_crawl
from run_digest import digest
from slurm import Slurm

pytestmark = pytest.mark.slow

RECIPE = """
[source.web]
kind = "jsonl"
paths = ["crawl"]

[[stage]]
kind = "gopher_quality"

[[stage]]
kind = "minhash"
bands = 14
rows = 8

[[stage]]
kind = "exact"
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    made = Slurm(tmp_path / "slurm")
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


def submit(folder: Path, *words: str) -> int:
    """Submit the recipe of the folder; the job's number."""
    job = ("--nodes", "2", "--time", "10", "--cpus", "1", "--grace", "60", "--memory", "1GB", "--out", "out")
    done = gristmill("submit", "recipe.toml", *job, *words, cwd=folder, columns=500)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


def require_done(slurm: Slurm, number: int) -> None:
    code = slurm.wait(number)
    assert code == 0, slurm.text(number, "log")
    assert list(Path("/tmp").glob(f"gristmill-{number}.*")) == [], "Ray has ended on all nodes"


def test_a_run_on_two_nodes_has_the_bytes_of_one_process(slurm: Slurm, tmp_path: Path) -> None:
    make_crawl(tmp_path / "it's $HOME")
    (tmp_path / "recipe.toml").write_text(LEDGER_RECIPE)
    setting = ("--set", 'source.web.paths=["it\'s $HOME"]')
    number = submit(tmp_path, *setting)
    alone = gristmill("run", "recipe.toml", *setting, "--out", "alone", "--executor", "in-process", cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
    require_done(slurm, number)
    assert "gristmill: 2 of 2 nodes are there" in slurm.text(number, "log")
    assert digest(tmp_path / "out") == digest(tmp_path / "alone")


@pytest.mark.skipif(not os.environ.get("GRISTMILL_TEST_RAY"), reason="takes a minute: make test-ray")
@pytest.mark.parametrize("preempt", [Slurm.signal_script, Slurm.signal_steps])
def test_a_run_that_is_preempted_in_its_middle_goes_on_and_has_the_bytes_of_one_process(
    slurm: Slurm, tmp_path: Path, preempt: Callable[[Slurm, int], None]
) -> None:
    random = Random(0)
    words = [f"w{random.randrange(10**6):x}" for _ in range(5000)]
    (tmp_path / "crawl").mkdir()
    for file in range(60):
        texts = [" ".join(random.choices(words, k=300)) for _ in range(300)]
        lines = [json.dumps({"id": f"{file} {i}", "text": text}) for i, text in enumerate([*texts, *texts[:9]])]
        (tmp_path / "crawl" / f"{file:02d}.jsonl").write_text("\n".join(lines))
    (tmp_path / "recipe.toml").write_text(RECIPE)
    number = submit(tmp_path)
    made = tmp_path / "out" / "work" / "0"
    while not [*made.glob("*.json")]:
        assert not slurm.text(number, "code"), slurm.text(number, "log")
    preempt(slurm, number)
    slurm.wait_for(number, "back in the queue")
    num_made = len([*made.glob("*.json")])
    assert 0 < num_made < 60
    require_done(slurm, number)
    assert slurm.text(number, "requeued") == "x"
    alone = gristmill("run", "recipe.toml", "--out", "alone", "--executor", "in-process", cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
    assert digest(tmp_path / "out") == digest(tmp_path / "alone")
