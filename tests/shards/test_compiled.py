"""Compiled functions do not outlive the sources that they were made of."""

import os
from pathlib import Path

from shards.compiled import forget_stale


def test_what_is_older_than_a_source_is_compiled_again(tmp_path: Path) -> None:
    for number, name in enumerate(("cleaners/a.py", "dedup/deep/b.py", "cleaners/__pycache__/a.nbi", "cleaners/c.nbc")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, ns=(number, number))
    cached = tmp_path / "cleaners/__pycache__/a.nbi"
    forget_stale(tmp_path)
    assert cached.exists()
    os.utime(tmp_path / "dedup/deep/b.py", ns=(3, 3))
    forget_stale(tmp_path)
    assert not cached.exists()
    assert (tmp_path / "cleaners/c.nbc").exists(), "data without an index is nobody's, and written over"
    forget_stale(tmp_path / "none")
