"""The files of a folder or a glob, also behind links: each once, and none passed over in silence.

    crawl/a.warc.gz                 a file
    crawl/b.warc.gz -> a.warc.gz    the same file: not again
    crawl/dump -> /mnt/dump         a link to a folder: entered, once
    crawl/loop -> ..                a link to a folder that it lies in: not entered
    crawl/c.warc.gz -> nowhere      a link to nothing: found, and `fault` says what it is
    crawl/.cache/c.warc.gz          hidden: taken only where it is named

A file that has several names is found by its own, not by that of a link. The order is that of the names.
"""

import errno
import glob
import os
import stat
from collections import deque
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path


def files_below(root: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The files below `root` that end in one of `suffixes`, in either case, and links to nothing.

    Raises OSError for an unreadable folder.
    """
    return sorted(_below(root, suffixes).values())


def files_matching(pattern: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The files that the glob names, and those in folders that it names which end in one of `suffixes`.

    `**` stands for any number of folders. OSError for an unreadable folder.
    """
    if "**" in pattern.parts:
        every = _recursively(pattern)
    else:
        named = sorted(map(Path, glob.glob(str(pattern))))  # noqa: PTH207
        every = [_below(path, suffixes) if path.is_dir() else {os.path.realpath(path): path} for path in named]
    found: dict[str, Path] = {}
    for files in every:
        for target, file in files.items():
            if target not in found or found[target].is_symlink():
                found[target] = file
    return sorted(found.values())


def fault(path: Path) -> str:
    """Why the path cannot be read as a file; "" where it can."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "a link that leads in a circle; mend or remove it"
        if error.errno == errno.ENOENT and path.is_symlink():
            return f"a link to {path.readlink()}, which is not there; mend or remove it"
        return ""  # opening it says what is wrong
    return "" if stat.S_ISREG(mode) else "a pipe or a device, which can be read only once; write it into a file first"


def first_magic(pattern: Path) -> int:
    """The index of the first part of the glob that is not a plain name; without one that of the last part."""
    return next((i for i, part in enumerate(pattern.parts) if glob.has_magic(part)), len(pattern.parts) - 1)


def _below(root: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """The files of `files_below` by their real paths."""
    found: dict[str, Path] = {}
    entered: set[str] = set()
    folders, links = deque([root]), deque[Path]()  # links last: a folder goes by its own name, not by that of a link
    while folders or links:
        folder = (folders or links).popleft()
        real = os.path.realpath(folder)
        if real in entered:
            continue
        entered.add(real)
        with os.scandir(folder) as entries:
            shown = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
        for entry in shown:
            path, is_link = folder / entry.name, entry.is_symlink()
            target = os.path.realpath(path) if is_link else f"{real}/{entry.name}"
            if path.is_dir() if is_link else entry.is_dir():
                if not Path(real).is_relative_to(target):
                    (links if is_link else folders).append(path)
            elif entry.name.lower().endswith(suffixes) or (is_link and not path.exists()):
                found[target] = found.get(target, path) if is_link else path
    return found


def _recursively(pattern: Path) -> list[dict[str, Path]]:
    """The files that `glob` finds, which would follow links in a circle, by their real paths."""
    at = pattern.parts.index("**")
    folders = sorted(map(Path, glob.glob(str(Path(*pattern.parts[:at])))))  # noqa: PTH207
    return [
        {
            target: file
            for target, file in _below(folder, ("",)).items()
            if matches(file.relative_to(folder).parts, pattern.parts[at:])
        }
        for folder in folders
        if folder.is_dir()
    ]


def matches(names: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether the glob of these `parts` names the path of these `names`; `**` stands for any number of folders."""
    if not parts:
        return not names
    if parts[0] == "**":
        return any(matches(names[i:], parts[1:]) for i in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], parts[0]) and matches(names[1:], parts[1:])
