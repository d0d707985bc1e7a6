"""Whether two runs are the same: the bytes of all their files but times, locks and summaries, which hold times."""

import hashlib
from collections.abc import Collection
from pathlib import Path

from pipelines.run.folder import RunFolder
from shards import mirror


def digest(run: Path, without: Collection[str] = ()) -> dict[str, str]:
    """sha256 by path of every file that must be the same for the same input; `without` names of more files."""
    left_out = {RunFolder.SECONDS, ".lock", *without}
    files = {path.relative_to(run): path for path in run.rglob("*") if path.is_file() and path.name not in left_out}
    return {
        str(name): hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in files.items()
        if name.parts[0] != RunFolder.SUMMARIES
    }


def objects(url: str) -> dict[str, bytes]:
    """The contents of all objects below the URL, by name."""
    folder = mirror.local(url)
    paths = mirror.glob(folder, "**/*")
    return {path.relative_to(folder).as_posix(): mirror.read_bytes(path) for path in mirror.ahead(paths)}


def stored(url: str) -> dict[str, str]:
    """As `digest`, of a run in a store."""
    found = {name: hashlib.sha256(data).hexdigest() for name, data in objects(url).items()}
    left_out = (RunFolder.SECONDS, RunFolder.REPORT_PAGE, ".lock")  # a lock is left where a kill comes after the report
    kept = (name for name in found if not name.startswith(f"{RunFolder.SUMMARIES}/"))
    return {name: found[name] for name in kept if name not in left_out}
