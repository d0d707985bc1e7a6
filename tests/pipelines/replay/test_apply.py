"""apply against the truth: the folder of a run made from the crawl with the changed settings, byte by byte."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_runs import LEDGER_RECIPE, make_crawl, make_run, report_of
from run_digest import digest

from pipelines.executors import InProcess, ProcessPool
from pipelines.passes import execute
from pipelines.recipe import load_recipe, recipe_text
from pipelines.replay.apply import open_apply
from pipelines.run.opening import is_done, open_run
from pipelines.verbs.verify import verify_run
from shards.errors import RunError, UserError
from shards.sink import read_table

MIXED = """
[source.web]
kind = "warc"

[source.own]
kind = "jsonl"
paths = ["{own}"]

[[stage]]
kind = "url"
max_soft_words = 100

[[stage]]
kind = "extract"
engine = "resiliparse"

[[stage]]
kind = "language"
languages = ["en", "de"]
min_score = 0.1

[[stage]]
kind = "pii"

[[stage]]
kind = "exact"

[[stage]]
kind = "refinedweb_lines"
only_languages = ["en"]

[[stage]]
kind = "gopher_quality"
min_words = 20
"""
OWN = """
{"url": "https://own.example/1", "text": "One's own line.\\n\\n\\n\\nhttps://own.example/x and mail@firm.com."}
{"url": "https://own.example/2", "text": ""}
{"url": "https://own.example/3", "text": "Das ist ein deutscher Satz, und er steht hier ganz allein."}
"""


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_crawl(tmp_path_factory.mktemp("crawl"))


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    own = tmp_path_factory.mktemp("own") / "own.jsonl"
    own.write_text(OWN.strip())
    second_pass = LEDGER_RECIPE.replace('[[stage]]\nkind = "refinedweb_lines"\n\n', "") + (
        '\n[[stage]]\nkind = "refinedweb_lines"\n\n[[stage]]\nkind = "pii"\n'
    )
    return {"ledger": LEDGER_RECIPE, "second pass": second_pass, "mixed": MIXED.format(own=own)}


@pytest.fixture(scope="module")
def runs(crawl: Path, recipes: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return {name: make(folder / f"run-{i}", crawl, [], text) for i, (name, text) in enumerate(recipes.items())}


@pytest.fixture(scope="module")
def run(runs: dict[str, Path]) -> Path:
    return runs["ledger"]


def make(out: Path, crawl: Path, given: Sequence[str], recipe: str) -> Path:
    return make_run(out, crawl, given, f'name = "law"\n{recipe}')


def apply(run: Path, given: Sequence[str], out: Path, executor: InProcess | ProcessPool | None = None) -> Path:
    opened = open_apply(run, given, out)
    if not is_done(out):
        execute(opened, executor or InProcess(), lambda _: None)
    return out


SETTINGS = {
    "ledger": [
        "page.max_bytes=1200", "page.min_status=100", "extract.min_chars=600", "extract.min_chars=0",
        "extract.max_elements=9", "extract.max_depth=4", "gopher_quality.min_words=20", "gopher_quality.max_words=250",
        "gopher_quality.stop_words=['mill']", "refinedweb_lines.max_words_for_phrases=3", "exact.keep=newest",
        "near.bands=9", "near.threshold=0.5", "url_dedup.keep=oldest", "output.dropped_per_rule=1",
        "output.texts=false",
    ],
    "second pass": [
        "page.max_bytes=1200", "extract.min_chars=600", "near.threshold=0.99", "pii.emails=false",
        "refinedweb_lines.max_removed_word_fraction=false", "output.dropped_per_rule=-1",
    ],
    "mixed": [
        "url.max_hard_words=5", "extract.min_chars=30", "extract.max_elements=10", "language.languages=['en']",
        "language.min_score=0.9", "pii.emails=false", "gopher_quality.min_words=5", "exact.keep=newest",
        "refinedweb_lines.only_languages=[]", "output.dropped_per_rule=0",
    ],
}  # fmt: skip
chosen = st.sampled_from(sorted(SETTINGS)).flatmap(
    lambda name: st.tuples(
        st.just(name), st.lists(st.sampled_from(SETTINGS[name]), min_size=1, max_size=4, unique=True)
    )
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen)
def test_every_byte_is_that_of_the_run_from_the_crawl(
    runs: dict[str, Path],
    recipes: dict[str, str],
    crawl: Path,
    tmp_path_factory: pytest.TempPathFactory,
    language_model: Path,
    case: tuple[str, list[str]],
) -> None:
    name, given_settings = case
    folder = tmp_path_factory.mktemp("law")
    full = make(folder / "full", crawl, given_settings, recipes[name])
    applied = apply(runs[name], given_settings, folder / "applied")
    assert digest(applied) == digest(full)
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "given_settings", [["gopher_quality.min_words=20"], ["extract.max_elements=9", "near.bands=3"]]
)
def test_units_and_batches_of_any_size_are_applied_as_they_were_cut(
    crawl: Path, recipes: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given_settings: list[str]
) -> None:
    monkeypatch.setattr("cleaners.crawl.warc.UNIT_RECORDS", 5)
    monkeypatch.setattr("cleaners.crawl.warc.BATCH_ROWS", 2)
    monkeypatch.setattr("shards.sink.BATCH_ROWS", 3)
    run = make(tmp_path / "run", crawl, [], recipes["ledger"])
    assert len(list(run.glob("texts/*.arrow"))) > 4
    applied = apply(run, given_settings, tmp_path / "applied")
    assert digest(applied) == digest(make(tmp_path / "full", crawl, given_settings, recipes["ledger"]))


def test_the_pool_gives_the_same_bytes_and_the_crawl_may_be_gone(
    recipes: dict[str, str], crawl: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(crawl, tmp_path / "crawl"))
    run = make(tmp_path / "run", moved, [], recipes["second pass"])
    full = digest(make(tmp_path / "full", moved, ["gopher_quality.min_words=20"], recipes["second pass"]))
    shutil.rmtree(moved)
    applied = apply(run, ["gopher_quality.min_words=20"], tmp_path / "applied", ProcessPool(2))
    assert digest(applied) == full
    assert verify_run(applied) == (2, [])
    again = apply(applied, ["gopher_quality.min_words=50"], tmp_path / "again")
    assert digest(again) == digest(run)  # what was applied can be applied to


def test_a_body_that_killed_the_extractor_stays_killed(recipes: dict[str, str], crawl: Path, tmp_path: Path) -> None:
    """Killed pages come from the journal, so a run that begins with one stands for a run that was killed."""
    ids = read_table(make(tmp_path / "any", crawl, [], recipes["ledger"]) / "ledger/web-00000-000.arrow")["id"]
    journal = "".join(
        f'{{"id": "{name}", "url": "", "reason": "extract.killed", "cause": "time"}}\n'
        for name in sorted(ids[:3].to_pylist())
    )

    def killed(out: Path, given_settings: list[str]) -> Path:
        recipe = out.with_name(out.name + ".toml")
        recipe.write_text('name = "law"\n' + recipes["ledger"])
        opened = open_run(load_recipe(str(recipe), [f'source.web.paths="{crawl}"', *given_settings]), out)
        (out / "kills.jsonl").write_text(journal)
        execute(opened, InProcess(), lambda _: None)
        return out

    run = killed(tmp_path / "run", [])
    assert report_of(run)["dropped"]["extract.killed"] == 3
    for given_settings in (["gopher_quality.min_words=20"], ["near.bands=3"]):
        shutil.rmtree(tmp_path / "full", ignore_errors=True)
        shutil.rmtree(tmp_path / "applied", ignore_errors=True)
        full = killed(tmp_path / "full", given_settings)
        assert digest(apply(run, given_settings, tmp_path / "applied")) == digest(full)
    refused = apply(run, ["page.max_bytes=100"], tmp_path / "none")
    assert not (refused / "kills.jsonl").exists()


KILLER = """
import os, signal, sys
from pathlib import Path
from pipelines.replay.apply import open_apply
from pipelines.executors import InProcess
from pipelines.passes import execute
run, out, renames = sys.argv[1:]
left = int(renames)
real = Path.replace
def replace(self, target):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, target)
Path.replace = replace
execute(open_apply(Path(run), ["gopher_quality.min_words=20"], Path(out)), InProcess(), lambda _: None)
"""


@pytest.mark.slow
def test_a_kill_before_any_rename_and_a_second_apply_give_the_same_bytes(run: Path, tmp_path: Path) -> None:
    def attempt(out: Path, renames: int) -> int:
        command = [sys.executable, "-c", KILLER, str(run), str(out), str(renames)]
        return subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE).returncode

    assert attempt(tmp_path / "calm", 10**9) == 0
    wanted, killed = digest(tmp_path / "calm"), 0
    for first_kill in (1, 2, 4, 6, 9):
        out, renames = tmp_path / f"killed-{first_kill}", first_kill
        while (code := attempt(out, renames)) != 0:
            assert code == -signal.SIGKILL
            killed += 1
            renames += 11
        assert digest(out) == wanted, first_kill
    assert killed > 6


@pytest.mark.parametrize(
    ("given_settings", "message"),
    [
        (["extract.favour=precision"], "extract.favour: is no threshold of a rule but changes what is extracted"),
        (["extract.engine=trafilatura"], "extract.engine: is no threshold"),
        (["extract.max_newlines=3"], "extract.max_newlines: is no threshold"),
        (["page.name=other"], "page.name: is no threshold"),
        (["gopher_quality.min_words=20", "source.web.kind=wet"], "source settings: what is read"),
        (["source.web.paths=elsewhere"], "source settings: what is read"),
        (["page.max_status=499"], "1 document never extracted"),
        (["gopher_quality.min_wrods=3"], "gopher_quality.min_wrods: unknown key"),
    ],
)
def test_what_needs_the_crawl_is_refused_with_the_command_that_reads_it(
    run: Path, tmp_path: Path, given_settings: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message) as refused:
        open_apply(run, given_settings, tmp_path / "new")
    assert "\n" not in str(refused.value)
    if "unknown" not in message:
        assert re.search(r"gristmill run \S+/recipe\.toml --set .* --out NEW$", str(refused.value))
    assert not (tmp_path / "new").exists()


def test_pages_that_extraction_refused_and_would_take_now_were_never_extracted(
    crawl: Path, recipes: dict[str, str], tmp_path: Path
) -> None:
    run = make(tmp_path / "run", crawl, ["extract.max_elements=10"], recipes["ledger"])
    number = report_of(run)["dropped"]["extract.too_many_elements"]
    with pytest.raises(UserError, match=f"{number} documents? never extracted"):
        open_apply(run, ["extract.max_elements=100"], tmp_path / "new")
    stricter = ["extract.max_elements=100", "page.max_bytes=1"]  # but none of them comes so far
    assert report_of(apply(run, stricter, tmp_path / "none"))["documents"]["kept"] == 0


def test_a_run_without_texts_or_of_another_version_is_refused(
    run: Path, crawl: Path, recipes: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = make(tmp_path / "without", crawl, ["output.texts=false"], recipes["ledger"])
    assert not (without / "texts").exists()
    with pytest.raises(UserError, match=r"keeps no texts \(output.texts = false\)"):
        open_apply(without, [], tmp_path / "new")
    text = recipes["ledger"].replace('"warc"', '"shards"').replace('[[stage]]\nkind = "page"', "")
    text = text.replace('[[stage]]\nkind = "extract"\nengine = "resiliparse"', "")
    of_shards = make(tmp_path / "shards", run / "shards", [], text)
    with pytest.raises(UserError, match="extracts nothing, its sources are text already"):
        open_apply(of_shards, [], tmp_path / "new")
    with pytest.raises(UserError, match="is the run that is read"):
        open_apply(run, [], run, overwrite=True)
    monkeypatch.setattr("cleaners.page.PageConfig.version", 10**6)
    with pytest.raises(UserError, match=r"another version .*: stage version\.page \(\d+ there, 1000000 here\)"):
        open_apply(run, [], tmp_path / "new")
    monkeypatch.undo()
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    (copy / "report.json").unlink()
    with pytest.raises(UserError, match="the run is not finished"):
        open_apply(copy, [], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_texts_that_are_missing_or_not_whole_are_told_in_one_line(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    texts = copy / "texts" / "web-00001-000.arrow"
    data = texts.read_bytes()
    texts.write_bytes(data[:-100])
    with pytest.raises(UserError, match=r"web-00001-000\.arrow: has [\d,]+ bytes, its manifest says .*gristmill run"):
        open_apply(copy, [], tmp_path / "new")
    texts.unlink()
    with pytest.raises(UserError, match=r"web-00001-000\.arrow: missing; .*gristmill run"):
        open_apply(copy, [], tmp_path / "new")
    texts.write_bytes(data[:1000] + bytes([data[1000] ^ 1]) + data[1001:])
    with pytest.raises(RunError, match=r"web-00001-000\.arrow: missing or not what was written; `gristmill verify"):
        apply(copy, [], tmp_path / "new")
    texts.write_bytes(data)
    assert digest(apply(copy, [], tmp_path / "new")) == digest(run)


def test_the_command_shows_the_funnel_and_resumes(run: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipelines", "apply", str(run), "--set", "gopher_quality.min_words=20"]
    command += ["--out", str(tmp_path / "new"), "--executor", "in-process"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"[0-9]+ documents in, [0-9]+ kept", done.stdout)
    assert f"next: gristmill report {tmp_path}/new" in done.stdout
    assert "is done already" in subprocess.run(command, check=False, capture_output=True, text=True).stdout


@pytest.mark.real
def test_real_pages_are_applied_byte_for_byte(real_data: Path, language_model: Path, tmp_path: Path) -> None:
    crawl = real_data / "crawl" / "part-00.warc.gz"
    recipe = recipe_text("refinedweb")[0]
    engine = "extract.engine=resiliparse"
    run = make_run(tmp_path / "run", crawl, [engine], recipe)
    changed = ["gopher_quality.min_words=10", "language.languages=['en', 'ru']", "extract.max_elements=2000"]
    applied = apply(run, changed, tmp_path / "applied")
    assert digest(applied) == digest(make_run(tmp_path / "full", crawl, [engine, *changed], recipe))
    before, after = (report_of(folder)["documents"]["kept"] for folder in (run, applied))
    assert before != after
    assert min(before, after) > 100
