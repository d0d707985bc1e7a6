"""The command line as a script uses it: a process with an exit code and two streams."""

import os
import subprocess
import sys
from pathlib import Path


def gristmill(*words: str | Path, cwd: Path | None = None, columns: int = 80) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines", *map(str, words)]
    environment = {**os.environ, "COLUMNS": str(columns)}
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd, env=environment)
