"""A wheel and exact versions: what brings this gristmill to nodes that have Python and Ray alone."""

import os
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from command import gristmill
from ledger_runs import LEDGER_RECIPE, make_crawl
from run_digest import digest

from pipelines.executors import make_executor
from pipelines.executors.shipping import make_wheel, pins
from shards.errors import UserError


def test_the_libraries_that_come_along_have_the_versions_of_this_process() -> None:
    found = dict(pin.split("==") for pin in pins())
    assert found["pyarrow"] == version("pyarrow")
    assert found["lxml-html-clean"] == version("lxml_html_clean")
    assert found["justext"] == version("jusText"), "of trafilatura"
    assert not found.keys() & {"ray", "torch", "gristmill", "pytest"}
    assert list(found) == sorted(found)


def test_shipping_needs_a_cluster() -> None:
    with pytest.raises(UserError, match="--ship: is for a cluster of other machines"):
        make_executor("ray", ship=True)
    with pytest.raises(UserError, match="--ship: is for --executor ray"):
        make_executor("pool", ship=True)


@pytest.mark.slow
def test_the_wheel_of_a_checkout_has_its_modules_and_data_and_no_others(tmp_path: Path) -> None:
    names = zipfile.ZipFile(make_wheel(tmp_path)).namelist()
    root = Path(__file__).parents[3]
    modules = {str(path.relative_to(root)) for path in (root / "pipelines").rglob("*.py")}
    assert {name for name in names if name.startswith("pipelines/") and name.endswith(".py")} == modules
    assert "cleaners/assets/lists/languages.toml" in names


@pytest.mark.slow
@pytest.mark.skipif("GRISTMILL_TEST_RAY" not in os.environ, reason="installs Ray and all libraries twice: minutes")
def test_nodes_with_python_and_ray_alone_run_a_shipped_gristmill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "node"], check=True)
    python = tmp_path / "node" / "bin" / "python"
    packages = [f"ray=={version('ray')}", "virtualenv"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    recipe = tmp_path / "small.toml"
    recipe.write_text(LEDGER_RECIPE)
    crawl = make_crawl(tmp_path / "crawl")
    words = ["run", recipe, "--set", f'source.web.paths="{crawl}"', "--out"]
    assert gristmill(*words, tmp_path / "alone", "--executor", "in-process").returncode == 0
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef" * 2)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    start = [tmp_path / "node" / "bin" / "ray", "start", "--head", "--port=0", "--num-cpus=2", "--block"]
    start += ["--include-dashboard=false", f"--temp-dir=/tmp/gm-ship-{os.getpid()}"]
    with subprocess.Popen(start, env=clean, stdout=subprocess.PIPE, text=True, start_new_session=True) as ray:
        try:
            assert ray.stdout is not None
            line = next(line for line in ray.stdout if "--address=" in line)
            address = line.partition("--address='")[2].partition("'")[0]
            done = gristmill(*words, tmp_path / "run", "--executor", "ray", "--address", address, "--ship")
        finally:
            os.killpg(ray.pid, 9)
    assert done.returncode == 0, done.stderr
    assert digest(tmp_path / "run") == digest(tmp_path / "alone")
