"""Compiled functions do not outlive the sources that they were made of."""

import os
from pathlib import Path

from shards.compiled import _imports, drop_stale


def test_a_stored_function_is_dropped_when_a_module_that_it_imports_is_newer(tmp_path: Path) -> None:
    files = {
        "cleaners/a.py": "from dedup.deep import (\n    b,\n    other,\n)\nfrom elsewhere import x\n",
        "dedup/deep/__init__.py": "",
        "dedup/deep/b.py": "from shards.c import LIMIT  # a constant\n",
        "shards/c.py": "LIMIT = 3\n",
        "shards/unrelated.py": "",
        "cleaners/__pycache__/a.f-1.py311.nbi": "",
        "cleaners/__pycache__/ab.f-1.py311.nbi": "",
    }
    for number, (name, text) in enumerate(files.items(), 1):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, ns=(number, number))
    stored = tmp_path / "cleaners/__pycache__/a.f-1.py311.nbi"

    def dropped(changed: str) -> bool:
        os.utime(tmp_path / changed, ns=(9, 9))
        drop_stale.cache_clear()
        _imports.cache_clear()
        drop_stale(tmp_path / "cleaners/a.py", tmp_path)
        return not stored.exists()

    assert not dropped("shards/unrelated.py")
    assert dropped("shards/c.py")
    assert (tmp_path / "cleaners/__pycache__/ab.f-1.py311.nbi").exists(), "of another module"


def test_a_source_from_the_future_does_not_drop_what_was_compiled_now(tmp_path: Path) -> None:
    source, stored = tmp_path / "shards/a.py", tmp_path / "shards/__pycache__/a.f-1.py311.nbi"
    stored.parent.mkdir(parents=True)
    source.touch()
    stored.touch()
    os.utime(source, ns=(1 << 62, 1 << 62))
    drop_stale(source, tmp_path)
    assert stored.exists()
