"""The command line as a script uses it: exit codes, one line for each mistake, never a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from crawl import RECIPE, Crawl, article, sentences

from pipelines.recipe import KINDS, builtin_names, load_recipe


def gristmill(
    *words: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines", *map(str, words)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=cwd, env={**os.environ, **(env or {})}
    )


@pytest.fixture
def crawl_file(tmp_path: Path) -> Path:
    made = Crawl()
    for i in range(5):
        made.page(f"https://a.example/{i}", article(f"Page {i}", sentences(i)))
    return made.write(tmp_path / "crawl" / "a.warc.gz")


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


def test_run_verify_status_report_and_run_again(tmp_path: Path, crawl_file: Path, recipe_file: Path) -> None:
    out = tmp_path / "run"
    words = ("run", recipe_file, "--set", f"source.paths={crawl_file.parent}", "--out", out, "--executor", "in-process")
    first = gristmill(*words)
    assert first.returncode == 0, first.stderr
    assert "5 documents in, 5 kept (100.0%)" in first.stdout
    assert "pass 0: 100%" in first.stderr, "progress as plain lines where there is no terminal"
    assert gristmill("verify", out).returncode == 0
    assert "done" in gristmill("status", out).stdout
    report = gristmill("report", out)
    assert report.returncode == 0, report.stderr
    assert (out / "report.html").stat().st_size > 1000
    assert json.loads((out / "report.json").read_bytes())["schema_version"] == 1
    again = gristmill(*words)
    assert (again.returncode, "is done already" in again.stdout) == (0, True)
    next((out / "shards" / "web").glob("*.arrow")).unlink()
    broken = gristmill("verify", out)
    assert (broken.returncode, "missing" in broken.stdout) == (1, True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ('[[stage]]\nkind = "gopher_quality"\nmin_wrods = 3', "gopher_quality.min_wrods: unknown key; known are"),
        (
            '[[stage]]\nkind = "gopher_quality"\nmin_words = "fifty"',
            "gopher_quality.min_words: Input should be a valid integer",
        ),
        ('[[stage]]\nkind = "gopher_qualty"', "no kind 'gopher_qualty'; kinds are url, page"),
        ('[[stage]]\nname = "x"', "stage[0].kind: required"),
        ('[[stage]]\nkind = "page"\n[[stage]]\nkind = "page"', "two stages are named 'page'"),
        ('[[stage]]\nkind = "minhash"\nbands = 20\nrows = 450', "20 bands of 450 rows"),
        (
            '[[stage]]\nkind = "gopher_quality"\nmin_words = 100000000000000000000000',
            "the number 100000000000000000000000 is too",
        ),
        (
            '[[stage]]\nkind = "gopher_quality"\nmin_mean_word_length = nan',
            "min_mean_word_length: Input should be a finite number",
        ),
        ('[[stage]]\nkind = "extract"\nname = "../x"', "stage[0].name: expected a name of letters"),
        ('[[stage]]\nkind = "exact"\nname = "same_record"', "same_record: the name of the stage that every run has"),
        ('[[stage]]\nkind = "url_dedup"\n[[stage]]\nkind = "extract"', "extract: stands behind deduplication"),
        (
            '[[stage]]\nkind = "extract"\n[[stage]]\nkind = "language"\n[[stage]]\nkind = "language"\nname = "b"',
            "both give 'language'",
        ),
        ('[[stage]]\nkind = "page"', "no stage of kind `extract` makes text of its pages"),
        ("[output]\ndropped_per_rule = []", "output.dropped_per_rule"),
        ("[stages]\nx = 1", "stages: unknown key; known are"),
        ("[[stage]\n", "not valid TOML"),
    ],
)
def test_a_mistake_in_a_recipe_is_one_line_with_its_key_path(tmp_path: Path, change: str, says: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(f'[source.web]\nkind = "warc"\n{change}\n')
    done = gristmill("run", path, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "nonsense"], "neither a recipe file nor a built-in recipe; built-in are"),
        (["run", "refinedweb"], "source.web.paths: no path is given"),
        (["run", "refinedweb", "--set", "source.paths=missing"], "missing: no such file or folder"),
        (["run", "refinedweb", "--set", "nonsense"], "--set nonsense: expected STAGE.KEY=VALUE"),
        (["run", "refinedweb", "--set", "no_stage.x=1"], "has no 'no_stage'; it has"),
        (["run", "refinedweb", "--set", "gopher_quality.nothing=1"], "gopher_quality.nothing: unknown key"),
        (["run", "refinedweb", "--workers", "many"], "See gristmill --help"),
        (["run"], "See gristmill --help"),
        (["nonsense"], "See gristmill --help"),
        (["verify", "missing"], "missing: no run of gristmill"),
        (["status", "missing"], "missing: no run of gristmill"),
        (["report", "missing"], "missing"),
        (["recipes", "nonsense"], "neither a recipe file nor a built-in recipe"),
        (["sample", "refinedweb"], "give at least one input and the recipe"),
        (["tokenizer", "train", "missing"], "missing"),
        (["pretrain", "missing.toml"], "missing.toml: no such file"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(tmp_path: Path, words: list[str], says: str) -> None:
    done = gristmill(*words, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.getuid() == 0 and not Path("/usr/bin/setpriv").exists(), reason="root may write everywhere")
def test_a_folder_without_right_to_write_is_one_line(tmp_path: Path, crawl_file: Path, recipe_file: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    done = gristmill("run", recipe_file, "--set", f"source.paths={crawl_file}", "--out", blocker / "run")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_every_builtin_recipe_loads_resolves_and_survives_a_round_trip(tmp_path: Path) -> None:
    assert "refinedweb" in builtin_names()
    for name in builtin_names():
        recipe = load_recipe(name)
        path = tmp_path / f"{name}.toml"
        path.write_text(recipe.to_toml())
        assert load_recipe(str(path)) == recipe


def test_recipes_lists_and_prints() -> None:
    listed = gristmill("recipes")
    assert all(name in listed.stdout for name in builtin_names())
    assert '[[stage]]\nkind = "extract"' in gristmill("recipes", "refinedweb").stdout


def test_every_kind_has_a_configuration_with_its_own_name() -> None:
    reasons = [getattr(kind, "reason", None) for kind in KINDS.values()]
    assert len({r for r in reasons if r}) == len([r for r in reasons if r])


def test_a_switched_off_rule_stays_off_in_the_resolved_recipe(recipe_file: Path) -> None:
    recipe = load_recipe(str(recipe_file), ["gopher_quality.min_words=false"])
    path = recipe_file.with_name("resolved.toml")
    path.write_text(recipe.to_toml())
    again = load_recipe(str(path))
    assert again == recipe
    assert not any("too_few_words" in rule.reason for _, s in again.stages if hasattr(s, "rules") for rule in s.rules())


def test_sample_runs_a_random_part_and_leaves_nothing(tmp_path: Path, crawl_file: Path, recipe_file: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = gristmill("sample", crawl_file.parent, recipe_file, "-n", "3")
    assert done.returncode == 0, done.stderr
    assert "3 documents in, 3 kept" in done.stdout
    assert "kept  https://a.example/" in done.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_from_shards_to_a_trained_model_and_back_to_the_crawl(
    tmp_path: Path, crawl_file: Path, recipe_file: Path
) -> None:
    pytest.importorskip("torch")
    run = tmp_path / "run"
    done = gristmill(
        "run", recipe_file, "--set", f"source.paths={crawl_file}", "--out", run, "--executor", "in-process"
    )
    assert done.returncode == 0, done.stderr
    done = gristmill("tokenizer", "train", run / "shards", "--vocab-size", "300", "--out", tmp_path / "tokenizer.json")
    assert done.returncode == 0, done.stderr
    done = gristmill(
        "tokenize",
        run / "shards",
        "--tokenizer",
        tmp_path / "tokenizer.json",
        "--out",
        tmp_path / "tokens",
        "--held-out",
        "0.3",
    )
    assert done.returncode == 0, done.stderr
    config = tmp_path / "train.toml"
    config.write_text(
        'out = "model"\nsteps = 6\nsequence_length = 64\nbatch_size = 2\ndevice = "cpu"\n'
        "[model]\nwidth = 16\nnum_layers = 1\nnum_heads = 2\nnum_kv_heads = 1\nfeed_forward_width = 32\n"
        '[source.web]\ntokens = "tokens/web"\nmax_epochs = 100\n'
    )
    done = gristmill("pretrain", config, "--set", "steps=8")
    assert done.returncode == 0, done.stderr
    assert "bits per byte" in done.stdout
    lines = [json.loads(line) for line in (tmp_path / "model" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert {"step", "loss", "tokens", "tokens_per_s", "loss_by_source"} <= lines[0].keys()
    traced = gristmill("trace", tmp_path / "model" / "train.toml", "--step", "3")
    assert traced.returncode == 0, traced.stderr
    assert "https://a.example/" in traced.stdout
