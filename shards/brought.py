"""Files that came along with a task from another machine: models, lists and evaluation sets that its stages read.

A stage names what it reads (`AnyStageConfig.files`), and asks here under the same name before it opens a path.
"""

from collections.abc import Mapping
from pathlib import Path

_files: dict[str, Path] = {}


def brought(name: str) -> Path | None:
    """The file or folder that came along under this name; None where nothing did, as in every process but a worker's
    on a cluster."""
    return _files.get(name)


def bring(files: Mapping[str, Path]) -> None:
    """From now on these are there, and no others."""
    _files.clear()
    _files.update(files)
