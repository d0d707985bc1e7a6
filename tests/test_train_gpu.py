"""The benchmark for a GPU: its lines run on a CPU, without packages that a bare machine lacks, and within limits."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).parents[1]
PARTS = ("attention", "124m", "syncs", "1.1b", "data-wait", "eager", "flash", "memory", "async-save")

# What torch, numpy, numba and pyarrow bring, and safetensors, without which the last part is left out.
_BARE = """
import sys
from importlib.machinery import PathFinder
from importlib.metadata import packages_distributions
needed = {"torch", "numpy", "numba", "llvmlite", "pyarrow", "sympy", "mpmath", "networkx", "jinja2", "markupsafe",
          "filelock", "fsspec", "typing_extensions", "setuptools", "safetensors", "gristmill"}
barred = {name for name, of in packages_distributions().items() if not needed & {one.lower() for one in of}} - needed
class Bare(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in barred else super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Bare
import torch
torch.set_num_threads(1)
from benchmarks.train_gpu import PARTS, Scale, run_part
assert not hasattr(sys.modules["pydantic"], "__file__"), "a stand-in"
for name in PARTS:
    print("#", name, flush=True)
    run_part(name, Scale.dry())
"""


@pytest.mark.slow
def test_each_part_gives_its_results_on_a_machine_with_four_packages() -> None:
    done = subprocess.run([sys.executable, "-c", _BARE], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    names, parts = [], []
    for line in done.stdout.splitlines():
        if line.startswith("# "):
            parts.append(line[2:])
            continue
        result = json.loads(line)
        if result["name"] != "machine":
            names.append(result["name"])
            assert result.get("at_most_twice", True), result
            assert result.get("left_out") in (None, "no CUDA", "No module named 'flash_attn_interface'"), result
    assert tuple(parts) == PARTS
    assert len(names) == len(set(names)) + 1, "the small model and the large one are the same in a dry run"
    assert {
        "dv, 4 heads over 1",
        "1m compiled",
        "compilations after the warm-up",
        "data wait",
        "asynchronous save",
    } < set(names)


@pytest.mark.slow
def test_a_part_is_killed_at_its_limit_and_the_next_ones_have_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import train_gpu

    monkeypatch.setitem(train_gpu.PARTS, "attention", (train_gpu.attention, 0.2))
    out = io.StringIO()
    train_gpu.run_parts(["attention"], dry=True, out=out)
    monkeypatch.setattr(train_gpu, "TOTAL_S", 1.0)
    train_gpu.run_parts(["124m"], dry=True, out=out)
    killed, late = map(json.loads, out.getvalue().splitlines())
    assert killed == {"part": "attention", "left_out": "not done after 0 s"}
    assert late == {"part": "124m", "left_out": "the time for all parts is over"}


def test_without_a_gpu_it_says_so_and_names_the_dry_form() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("has a GPU")
    command = [sys.executable, "-m", "benchmarks.train_gpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "train_gpu: torch sees no CUDA device; --dry runs each part on a CPU at a tiny size\n"
