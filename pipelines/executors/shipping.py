"""What a node that has only Python and Ray needs to run our tasks: this gristmill as a wheel, and its libraries in the
versions that the driver has.

    installed   files of the distribution ──▶ wheel
    checkout    copy of the packages ──pip wheel──▶ wheel
    requirements, of requirements, … ──▶ name==version of each

Torch stays at home: cleaning and tokenising need none.
"""

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from shards.errors import RunError

_HERE = Path(__file__).parents[2]  # of the packages
_EXTRAS = ("", "japanese", "train")  # whose libraries come along where the driver has them
_AT_HOME = frozenset(("gristmill", "ray", "torch"))


def runtime_environment(folder: Path) -> dict[str, Any]:
    """The `runtime_env` of Ray that installs this gristmill on each node, once. The wheel is made in `folder`."""
    wheel = make_wheel(folder)
    return {
        "working_dir": str(folder),
        "pip": {"packages": [*pins(), f"${{RAY_RUNTIME_ENV_CREATE_WORKING_DIR}}/{wheel.name}"], "pip_check": False},
    }


def pins() -> list[str]:
    """`name==version` of every library that we need and that is installed here, sorted."""
    found: dict[str, str] = {}
    todo = [(distribution("gristmill"), extra) for extra in _EXTRAS]
    seen: set[tuple[str, str]] = set()
    while todo:
        of, extra = todo.pop()
        for needed in _requirements(of, extra):
            name = _normal(needed.name)
            try:
                library = distribution(needed.name)
            except PackageNotFoundError:  # of an extra that is not installed
                continue
            if name in _AT_HOME:
                continue
            found[name] = library.version
            for also in ("", *needed.extras):
                if (name, also) not in seen:
                    seen.add((name, also))
                    todo.append((library, also))
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def _requirements(of: Distribution, extra: str) -> Iterator[Requirement]:
    """What the distribution requires with this extra, "" for none."""
    for text in of.requires or ():
        needed = Requirement(text)
        if needed.marker is None or needed.marker.evaluate({"extra": extra}):
            yield needed


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def make_wheel(folder: Path) -> Path:
    """The wheel of the gristmill that runs, in `folder`. RunError where it cannot be made."""
    return _built(_HERE, folder) if (_HERE / "pyproject.toml").is_file() else _repacked(folder)


def _built(checkout: Path, folder: Path) -> Path:
    """From a copy, since a build in place would put what older builds have left into the wheel."""
    copy = folder / "source"
    copy.mkdir(parents=True)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(checkout / name, copy)
    for package in ("shards", "cleaners", "dedup", "pipelines", "pretrain"):
        shutil.copytree(checkout / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    shutil.rmtree(copy)
    if done.returncode:
        raise RunError(f"{checkout}: no wheel can be made of it: {' '.join(done.stderr.split())[-300:]}")
    return next(folder.glob("gristmill-*.whl"))


def _repacked(folder: Path) -> Path:
    """The wheel that was installed, of its files."""
    of = distribution("gristmill")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"gristmill-{of.version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for file in of.files or ():
            is_ours = ".." not in file.parts and "__pycache__" not in file.parts
            if is_ours and file.name not in ("INSTALLER", "REQUESTED", "direct_url.json"):
                wheel.write(str(file.locate()), str(file))
    return path
