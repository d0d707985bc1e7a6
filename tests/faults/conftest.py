"""What tests of faults share: an undisturbed run."""

from pathlib import Path

import pytest
from fault_runs import Attempts, Faults, all_faults, make_recipe, make_undisturbed, seconds_of


@pytest.fixture
def faults() -> Faults:
    all_faults.forget_open()  # of a test that failed
    return all_faults


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recipe(tmp_path_factory.mktemp("recipe"))


@pytest.fixture(scope="session")
def undisturbed(recipe: Path) -> dict[str, str]:
    return make_undisturbed(recipe)


@pytest.fixture(scope="session")
def whole_s(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> float:
    """How long a run on a pool works, from the first line of its progress."""
    folder = tmp_path_factory.mktemp("timed")
    return seconds_of(Attempts(recipe, folder / "run", folder / "attempts"))
