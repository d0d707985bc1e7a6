"""Numba keeps compiled functions beside their sources, and compiles one again when its own file changed; not when a
constant or a function of another file did that it has taken in. So what is older than any source is dropped."""

from contextlib import suppress
from pathlib import Path
from time import time_ns

_PACKAGES = ("shards", "cleaners", "dedup", "pretrain")


def forget_stale(root: Path) -> None:
    """Delete the indexes of Numba's caches in the packages below `root` that are older than a source there."""
    now = time_ns()
    files = [path for name in _PACKAGES for path in (root / name).rglob("*") if path.suffix in (".py", ".nbi")]
    changed = [path.stat().st_mtime_ns for path in files if path.suffix == ".py"]
    newest = max((at for at in changed if at <= now), default=0)
    for path in files:
        with suppress(OSError):  # another process was first, or the folder is not ours
            if path.suffix == ".nbi" and path.stat().st_mtime_ns < newest:
                path.unlink()
