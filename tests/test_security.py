"""The promises of docs/security.md."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from crawl import RECIPE, Crawl, article
from http_server import serving

from cleaners.extraction.model import load_model
from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.run.opening import open_run
from shards.errors import GristmillError

ROOT = Path(__file__).parents[1]
PACKAGES = ("shards", "cleaners", "dedup", "pipelines", "pretrain")
UNPICKLERS = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
# Both ends of these pipes are processes that a run has started.
BETWEEN_OWN_PROCESSES = {
    "cleaners/engines/child.py",
    "pipelines/executors/packing.py",
    "pipelines/executors/process_pool.py",
}


def make_run(recipe: str, paths: str, out: Path) -> None:
    file = out.with_suffix(".toml")
    file.write_text(recipe)
    execute(open_run(load_recipe(str(file), [f'source.web.paths=["{paths}"]']), out), InProcess(), lambda _: None)


@pytest.mark.slow
def test_bombs_are_read_in_bounded_memory(tmp_path: Path) -> None:
    """Each inflates to a gigabyte; what may be held is a record of 128 MB, a line of 128 MB, or a text of 512 MB."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    command = [sys.executable, "-m", "bombs", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    grown = json.loads(done.stdout)
    assert "list of paths" in grown
    assert all(more < 640 << 20 for more in grown.values()), grown


def modules() -> dict[str, ast.Module]:
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    return {file.relative_to(ROOT).as_posix(): ast.parse(file.read_text()) for file in files}


def test_nothing_is_unpickled_but_between_own_processes() -> None:
    importing = set()
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                module = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
                if UNPICKLERS & {one.partition(".")[0] for one in module}:
                    importing.add(name)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                called = ast.unparse(node.func)
                assert called not in ("torch.load", "pd.read_pickle", "yaml.load"), name
                pickles = [k.value for k in node.keywords if k.arg == "allow_pickle"]
                assert all(isinstance(value, ast.Constant) and value.value is False for value in pickles), name
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec"), name
    assert importing == BETWEEN_OWN_PROCESSES


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_model_that_holds_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    array = np.empty(1, object)
    array[0] = Hostile(tmp_path / "was-run")
    np.savez(tmp_path / "balanced-1-00000000.npz", names=array)
    with pytest.raises(GristmillError, match="balanced-1-00000000"):
        load_model(tmp_path / "balanced-1-00000000.npz")
    assert not (tmp_path / "was-run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["gristmill", "trafilatura", "resiliparse"])
def test_no_address_in_a_page_is_asked_for(tmp_path: Path, engine: str) -> None:
    with serving({}) as site:
        url = f"{site.url}x"
        page = (
            article("Links").replace(
                "<head>",
                f"<head><meta http-equiv='refresh' content='0; url={url}'><base href='{url}'>"
                f"<link rel=canonical href='{url}'>"
                f"<script src='{url}'></script><link rel=stylesheet href='{url}'>",
            )
            + f"<img src='{url}'><iframe src='{url}'></iframe><object data='{url}'></object>"
        )
        entity = f"<!DOCTYPE html [<!ENTITY x SYSTEM '{url}'>]>"
        crawl = Crawl().page(url, page).page(f"{url}/xml", entity + page + "&x;", content_type="application/xhtml+xml")
        recipe = RECIPE.replace('engine = "resiliparse"', f'engine = "{engine}"')
        make_run(recipe, str(crawl.write(tmp_path / "one.warc.gz")), tmp_path / "out")
        assert (tmp_path / "out" / "report.json").exists()
        assert site.requests == []


def test_credentials_are_in_nothing_that_a_run_writes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = Crawl().page("https://example.org/", article("One")).data
    with serving({"/one.warc.gz": data}, password="me:hidden-secret") as site:
        url = site.url.replace("http://", "http://me:hidden-secret@")
        make_run(RECIPE, f"{url}one.warc.gz?signature=hidden-signature", tmp_path / "out")
        with pytest.raises(GristmillError) as refused:
            make_run(RECIPE, f"{url}two.warc.gz?signature=hidden-signature", tmp_path / "other")
    files = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert files
    found = [file for file in files if b"hidden-s" in file.read_bytes()]
    assert found == []
    assert "hidden-s" not in str(refused.value)
    assert "hidden-s" not in "".join(capfd.readouterr())


def test_each_promise_names_a_test_that_there_is() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", page)
    assert len(named) >= 12
    for file, test in named:
        assert f"def {test}(" in (ROOT / "tests" / file).read_text(), f"{file}::{test}"
