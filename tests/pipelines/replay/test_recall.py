"""The stages that `apply` does not measure again, and the bytes of what it makes where each kind is changed in turn."""

import shutil
from pathlib import Path

import pytest
from ledger_runs import make_crawl, make_run
from run_digest import digest
from stage_cases import write_assets

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.replay.apply import open_apply
from shards.errors import UserError

RECIPE = """
name = "all-kinds"

[source.web]
kind = "warc"

[[stage]]
kind = "page"
[[stage]]
kind = "extract"
engine = "gristmill"
[[stage]]
kind = "textfix"
[[stage]]
kind = "language"
min_score = 0.1
[[stage]]
kind = "gopher_repetition"
max_duplicate_5gram_fraction = 0.9
[[stage]]
kind = "gopher_quality"
[[stage]]
kind = "fineweb"
[[stage]]
kind = "chinese_quality"
only_languages = ["en"]
min_chars = 1
[[stage]]
kind = "classifier"
model = "{assets}/model.bin"
[[stage]]
kind = "decontaminate"
sets = {{ arc = "{assets}/set.jsonl" }}
[[stage]]
kind = "c4"
[[stage]]
kind = "fineweb"
name = "lines"
[[stage]]
kind = "exact"
[[stage]]
kind = "rehydrate"
[[stage]]
kind = "refinedweb_lines"
[[stage]]
kind = "gopher_quality"
name = "again"
min_words = 20
[[stage]]
kind = "substring"
length = 20
[[stage]]
kind = "gopher_repetition"
name = "last"
max_duplicate_5gram_fraction = 0.9
"""
EARLIER = [
    "language",
    "gopher_repetition",
    "gopher_quality",
    "fineweb",
    "chinese_quality",
    "classifier",
    "decontaminate",
]
RECALLED = [*EARLIER, "lines", "again"]  # those before a cut that do not edit, and need no column of a global stage


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, language_model: Path) -> Path:
    folder = tmp_path_factory.mktemp("recall")
    return make_run(folder / "run", make_crawl(folder / "crawl"), [], RECIPE.format(assets=write_assets(folder)))


@pytest.mark.parametrize(
    ("setting", "recalled"),
    [
        ("page.max_bytes=1200", RECALLED),
        ("extract.min_chars=600", RECALLED),
        ("textfix.fix_encoding=false", []),
        ("language.languages=['en', 'de']", RECALLED),
        ("language.min_scores={ en = 0.9 }", RECALLED),
        ("gopher_repetition.max_top_2gram_fraction=0.05", RECALLED),
        ("gopher_repetition.count_first_copies=false", [name for name in RECALLED if name != "gopher_repetition"]),
        ("gopher_quality.min_words=100", RECALLED),
        ("gopher_quality.stop_words=['mill']", [name for name in RECALLED if name != "gopher_quality"]),
        ("gopher_quality.only_languages=['en']", [name for name in RECALLED if name != "gopher_quality"]),
        ("fineweb.short_line_chars=5", [name for name in RECALLED if name != "fineweb"]),
        ("chinese_quality.min_chars=1000", RECALLED),
        ("classifier.min_score=0.5", RECALLED),
        ("decontaminate.ngram=12", [name for name in RECALLED if name != "decontaminate"]),
        ("decontaminate.action=cut", EARLIER[:-1]),
        ("c4.min_words_per_line=30", EARLIER),
        ("c4.min_sentences=6", EARLIER),
        ("exact.keep=newest", RECALLED),
        ("rehydrate.min_weight=2", RECALLED),
        ("refinedweb_lines.max_words_for_phrases=3", [*EARLIER, "lines"]),
        ("again.min_words=100", RECALLED),
        ("substring.length=30", RECALLED),
        ("last.count_first_copies=false", RECALLED),
        ("output.dropped_per_rule=1", RECALLED),
    ],
)
def test_a_stage_is_recalled_where_it_measures_the_text_that_it_measured(
    run: Path, tmp_path: Path, setting: str, recalled: list[str]
) -> None:
    assert sorted(open_apply(run, [setting], tmp_path / "new").recalled) == sorted(recalled)


def applied(run: Path, settings: list[str], out: Path) -> dict[str, str]:
    execute(open_apply(run, settings, out), InProcess(), lambda _: None)
    return digest(out)


def made(run: Path, settings: list[str], out: Path) -> dict[str, str]:
    recipe = load_recipe(str(run / "recipe.toml"), settings)
    (paths,) = (source.paths for source in recipe.sources.values())
    return digest(make_run(out, Path(paths[0]), settings, (run / "recipe.toml").read_text()))


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        ["language.languages=['en', 'de', 'fr']", "gopher_quality.min_words=100"],
        ["gopher_quality.stop_words=['mill']", "gopher_repetition.max_top_2gram_fraction=0.05"],
        ["c4.min_words_per_line=30", "exact.keep=newest", "substring.length=30"],
        ["textfix.fix_encoding=false", "refinedweb_lines.max_words_for_phrases=3", "last.max_top_2gram_fraction=0.05"],
        ["decontaminate.ngram=12", "classifier.min_score=0.5"],
    ],
)
def test_its_bytes_are_those_of_a_run_from_the_crawl(run: Path, tmp_path: Path, settings: list[str]) -> None:
    assert applied(run, settings, tmp_path / "applied") == made(run, settings, tmp_path / "made")


def test_rows_that_come_back_are_measured_by_the_stages_that_had_not_seen_them(run: Path, tmp_path: Path) -> None:
    strict = ["gopher_quality.min_words=220", "language.min_score=0.95"]
    few = tmp_path / "few"
    made(run, strict, few)
    assert applied(few, ["gopher_quality.min_words=50", "language.min_score=0.1"], tmp_path / "back") == digest(run)


@pytest.mark.parametrize(
    ("before", "after", "recalled"),
    [
        ('"gopher_quality": 2', '"gopher_quality": 1', set(RECALLED) - {"gopher_quality"}),
        ('"classifier.model": "', '"classifier.model": "0', set(RECALLED) - {"classifier"}),
        ('"language.model": "', '"language.model": "0', set()),  # any rule may depend on the language
        ('"rjieba": "', '"rjieba": "0.0.', set()),
    ],
)
def test_what_another_version_or_model_measured_is_measured_again(
    run: Path, tmp_path: Path, before: str, after: str, recalled: set[str]
) -> None:
    other = Path(shutil.copytree(run, tmp_path / "other"))
    parts = (other / "run.json").read_text()
    assert before in parts
    (other / "run.json").write_text(parts.replace(before, after))
    assert open_apply(other, ["again.min_words=30"], tmp_path / "new").recalled == recalled


def test_a_language_that_the_model_does_not_know_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"language\.languages: the model has no xx"):
        open_apply(run, ["language.languages=['en', 'xx']"], tmp_path / "new")
    assert not (tmp_path / "new").exists()
