"""The project as a whole: its names, its wheel, and that its documents promise only what runs."""

import ast
import os
import re
import shlex
import subprocess
import sys
import tomllib
import venv
from importlib.metadata import distributions
from pathlib import Path

import pytest
from crawl import RECIPE, Crawl, article, sentences

from dedup.same_record import SameRecordConfig
from pipelines.recipe import KINDS
from shards.exchange import GlobalStageConfig
from shards.stage import StageConfig

ROOT = Path(__file__).parents[1]
_COMPILED = {"kernel", "intrinsic"}
PACKAGES = ("shards", "cleaners", "dedup", "pipelines", "pretrain")


def test_no_other_distribution_provides_our_package_names() -> None:
    for distribution in distributions():
        if distribution.metadata["Name"] == "gristmill":
            continue
        top = {str(file).split("/")[0] for file in distribution.files or ()}
        assert not top & set(PACKAGES), distribution.metadata["Name"]


def unannotated(path: Path) -> list[str]:
    """The functions of a module that lack an annotation and are no kernels."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.FunctionDef) or _COMPILED & _names(node.decorator_list):
            continue
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        bare = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
        if bare or node.returns is None:
            found.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    return found


def _names(nodes: list[ast.expr]) -> set[str]:
    return {name.id for node in nodes for name in ast.walk(node) if isinstance(name, ast.Name)}


def test_every_function_but_kernels_is_annotated() -> None:
    """mypy asks it of pipelines alone: one override lets kernels of the other packages go without."""
    found = [name for package in PACKAGES for path in (ROOT / package).rglob("*.py") for name in unannotated(path)]
    assert found == []


def test_every_module_has_a_test_of_its_name_or_is_covered_by_a_listed_one() -> None:
    elsewhere = tomllib.loads((ROOT / "tests" / "covered_elsewhere.toml").read_text(encoding="utf-8"))
    paths = [path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    modules = [path for path in paths if path.stem not in ("__init__", "__main__")]
    untested = {str(m) for m in modules if not (ROOT / "tests" / m.parent / f"test_{m.name}").exists()}
    assert len(modules) > 150
    assert elsewhere.keys() == untested
    assert [test for test in elsewhere.values() if not (ROOT / test).is_file()] == []
    assert list(elsewhere) == sorted(elsewhere)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_implemented_in_the_module_of_its_name(kind: str) -> None:
    assert KINDS[kind].__module__ in (f"cleaners.{kind}", f"dedup.{kind}")


def test_cleaners_holds_local_kinds_and_dedup_those_that_compare_documents_with_others() -> None:
    packages = {kind: config.__module__.partition(".")[0] for kind, config in KINDS.items()}
    local = {kind for kind, config in KINDS.items() if issubclass(config, StageConfig)}
    compares_with_evaluation_sets = {"decontaminate"}
    assert {
        kind for kind, package in packages.items() if package == "cleaners"
    } == local - compares_with_evaluation_sets
    assert {kind for kind, package in packages.items() if package == "dedup"} == (
        packages.keys() - local | compares_with_evaluation_sets
    )


def test_the_drop_reasons_of_global_stages_stay_as_they_are() -> None:
    """Ledgers and reports of earlier runs hold these words, and users match on them."""
    kinds = {**KINDS, "same_record": SameRecordConfig}
    reasons = {kind: config.reason for kind, config in kinds.items() if issubclass(config, GlobalStageConfig)}
    del reasons["top_share"]  # named after the stage
    assert reasons == {
        "exact": "dedup.exact",
        "minhash": "dedup.near",
        "ngram_overlap": "dedup.overlap",
        "paragraphs": "dedup.paragraphs",
        "same_record": "dedup.same_record",
        "substring": "dedup.substring",
        "url_dedup": "dedup.url",
    }


def test_every_test_that_docs_divergences_names_exists() -> None:
    text = (ROOT / "docs" / "divergences.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+/test_\w+\.py)(?:::(test_\w+))?`", text)
    assert len(named) > 30
    for path, test in named:
        assert f"def {test}" in (ROOT / "tests" / path).read_text(encoding="utf-8"), f"{path}::{test}"
    documents = (ROOT / "tests/conformance/test_divergences.py").read_text(encoding="utf-8")
    assert [name for name in re.findall(r"\[([^\]]+)\](?!\()", text) if f'"{name}": ' not in documents] == []


def documented_commands() -> list[tuple[str, str]]:
    """Every `gristmill …` line of a shell block in README and docs, with its file."""
    found = []
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in re.findall(r"```(?:sh|bash|console)\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                words = line.strip().removeprefix("$ ").split("#")[0].strip()
                found += [(path.name, part.strip()) for part in words.split("&&") if "gristmill" in part.split()[0:1]]
                found += [(path.name, part.strip()) for part in words.split("&&") if part.strip().startswith("make ")]
    return found


def test_the_readme_shows_commands() -> None:
    assert len(documented_commands()) >= 8


@pytest.mark.parametrize(("file", "command"), documented_commands())
def test_every_documented_command_exists_with_its_options(file: str, command: str) -> None:
    import typer

    from pipelines.cli import app

    words = shlex.split(command)
    if words[0] == "make":
        targets = (ROOT / "Makefile").read_text()
        assert all(re.search(rf"^{re.escape(target)}:", targets, re.MULTILINE) for target in words[1:]), command
        return
    group = typer.main.get_command(app)
    context = group.make_context("gristmill", words[1:2] or ["--help"], resilient_parsing=True)
    name, *rest = words[1:]
    found = group.get_command(context, name)  # type: ignore[attr-defined]
    assert found is not None, f"{file}: no command {name}"
    if hasattr(found, "commands"):
        found, rest = found.commands[rest[0]], rest[1:]
    found.make_context(name, rest)


@pytest.mark.slow
def test_the_wheel_cleans_ten_records_in_an_empty_environment(tmp_path: Path, language_model: Path) -> None:
    """As a user installs it, without torch: built, installed in a new environment, run outside the checkout."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)],
        check=True,
    )
    (wheel,) = tmp_path.glob("gristmill-*.whl")
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "-c", str(ROOT / "requirements.lock"), str(wheel)], check=True)
    crawl = Crawl()
    for i in range(10):
        crawl.page(f"https://a.example/{i}", article(f"Page {i}", sentences(i)))
    crawl.write(tmp_path / "crawl.warc.gz")
    (tmp_path / "small.toml").write_text(RECIPE)
    language = f"language.model={language_model}"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    for recipe, settings in (("small.toml", []), ("gristmill", ["--set", language])):
        command = [str(python.with_name("gristmill")), "run", recipe, "--set", "source.paths=crawl.warc.gz", *settings]
        done = subprocess.run(
            [*command, "--out", f"run-{recipe}"],
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        assert "10 documents in" in done.stdout
        report = subprocess.run(
            [str(python.with_name("gristmill")), "report", f"run-{recipe}"], cwd=tmp_path, check=False
        )
        assert report.returncode == 0
    no_torch = subprocess.run([str(python), "-c", "import torch"], check=False, capture_output=True)
    assert no_torch.returncode != 0, "cleaning needs no torch"
