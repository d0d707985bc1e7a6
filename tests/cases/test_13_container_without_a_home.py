"""A read-only installation and a user without a home: compiled functions go to a temporary folder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from case_run import copy_case
from unprivileged import run_unprivileged

ROOT = Path(__file__).parents[2]
PACKAGES = ("shards", "cleaners", "dedup", "pipelines", "pretrain")


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Path]:
    """Our packages in folders that cannot be written."""
    folder = tmp_path / "installed"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    yield folder
    for path in folders:
        path.chmod(0o755)


@pytest.mark.slow
def test_a_run_needs_neither_a_home_nor_an_installation_that_can_be_written(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    (tmp_path / "tmp").mkdir()
    case = copy_case("13", tmp_path / "case")
    run = ["-m", "pipelines", "run", "recipe.toml", "--out", "out", "--executor", "in-process"]
    run += ["--set", "extract.engine=resiliparse"]  # fewer functions to compile
    done = run_unprivileged(*run, cwd=case, PYTHONPATH=installed, HOME=installed / "home", TMPDIR=tmp_path / "tmp")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "1 document in, 1 kept" in done.stdout
