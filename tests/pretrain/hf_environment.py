"""`transformers` and `lm_eval`, which run in an environment of their own."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-hf" / "bin" / "python"

with_hf = pytest.mark.skipif(not PYTHON.exists(), reason="`make test-hf` installs transformers and lm_eval")


def hf(*words: str | Path) -> str:
    """The output of benchmarks/peers/hf.py."""
    command = [PYTHON, ROOT / "benchmarks" / "peers" / "hf.py", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
