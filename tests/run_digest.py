"""Whether two runs are the same: the bytes of all their files but times, locks and summaries, which hold times."""

import hashlib
from collections.abc import Collection
from pathlib import Path

from pipelines.run.folder import RunFolder


def digest(run: Path, without: Collection[str] = ()) -> dict[str, str]:
    """sha256 by path of every file that must be the same for the same input; `without` names of more files."""
    left_out = {RunFolder.SECONDS, ".lock", *without}
    files = {path.relative_to(run): path for path in run.rglob("*") if path.is_file() and path.name not in left_out}
    return {
        str(name): hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in files.items()
        if name.parts[0] != RunFolder.SUMMARIES
    }
