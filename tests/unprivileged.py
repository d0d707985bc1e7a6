"""Processes that may write only where the modes of folders say so, also where the tests run as root."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 24, 1, 2  # prctl(2), capabilities(7)


def run_unprivileged(
    *words: str | Path, cwd: Path | None = None, **environment: str | Path
) -> subprocess.CompletedProcess[str]:
    """Run Python with these words, and these variables beside the tests' own."""
    return subprocess.run(
        [sys.executable, *map(str, words)],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **{name: str(value) for name, value in environment.items()}},
        preexec_fn=_obey_modes if os.getuid() == 0 else None,
    )


def _obey_modes() -> None:
    """Give up the rights by which root writes to a folder of mode 555; they are gone after exec."""
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        if ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
            raise OSError("the test needs the right to drop its rights (CAP_SETPCAP)")
