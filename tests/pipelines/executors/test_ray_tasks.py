"""Ray: a real cluster of two nodes gives what one process gives, and its nodes and workers may die."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from command import gristmill
from ledger_runs import LEDGER_RECIPE, make_crawl
from ray_cluster import RayCluster, ray_cluster
from run_digest import digest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with ray_cluster() as cluster:
        cluster.add()
        cluster.add()
        yield cluster


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_crawl(tmp_path_factory.mktemp("crawl"))


def test_a_run_on_a_cluster_has_the_bytes_of_one_process(cluster: RayCluster, crawl: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text(LEDGER_RECIPE)
    words = ["run", "small.toml", "--set", f'source.web.paths="{crawl}"', "--out"]
    assert gristmill(*words, "alone", "--executor", "in-process", cwd=tmp_path).returncode == 0
    done = gristmill(*words, "ray", "--executor", "ray", "--address", cluster.address, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert digest(tmp_path / "ray") == digest(tmp_path / "alone")
