"""A Chinese and a Russian page come whole through the recipe of their language, from WARC to shard."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipelines.demo.cleaning import fates, kept_texts
from pipelines.demo.crawl import Article, Page, Planted, article, chinese, planted, russian, warc
from pipelines.executors import InProcess
from pipelines.ledger.table import NOT_DROPPED, Ledger
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.replay.whatif import whatif
from pipelines.report.build import alarm_lines
from pipelines.report.last_lines import lines
from pipelines.run.opening import open_run
from pipelines.verbs.explain import explain
from pipelines.verbs.explain import lines as explain_lines
from shards.errors import UserError
from shards.schema import KEPT
from shards.sink import read_batches

ROOT = Path(__file__).parents[2]
CHINESE = ("mill.zh", "roof.zh", "clock.zh")
RUSSIAN = ("mill.ru", "fallow.ru", "station.ru")
_SENTENCE = re.compile(r"[^.!?。！？]+[.!?。！？]+")


def run_recipe(name: str, pages: list[Page], folder: Path, settings: Sequence[str] = ()) -> Path:
    (folder / "pages.warc.gz").write_bytes(warc("pages", pages))
    recipe = load_recipe(name, [f"source.web.paths={folder / 'pages.warc.gz'}", *settings])
    execute(open_run(recipe, folder / "run"), InProcess(), lambda progress: None)
    return folder / "run"


def pages_of(made_up: tuple[Planted, ...]) -> list[Page]:
    return [p.page for p in made_up]


def sentences_missing(texts: list[str], wanted: Article) -> list[str]:
    """The sentences of the article that the text which holds most of them lacks, or has in another place."""

    def missing(text: str) -> list[str]:
        at, lacking = 0, []
        for sentence in (s.strip() for paragraph in wanted.paragraphs for s in _SENTENCE.findall(paragraph)):
            found = text.find(sentence, at)
            if found < 0:
                lacking.append(sentence)
            else:
                at = found + len(sentence)
        return lacking

    return min((missing(text) for text in [*texts, ""]), key=len)


@pytest.fixture(scope="module")
def chinese_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_recipe("fineweb2-zh", pages_of(planted()), tmp_path_factory.mktemp("chinese"))


@pytest.fixture(scope="module")
def russian_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_recipe("fineweb2-ru", pages_of(planted()), tmp_path_factory.mktemp("russian"))


@pytest.mark.parametrize("name", CHINESE)
def test_a_chinese_article_comes_whole(chinese_run: Path, name: str) -> None:
    assert sentences_missing(kept_texts(chinese_run), article(name)) == []


@pytest.mark.parametrize("name", RUSSIAN)
def test_a_russian_article_comes_whole(russian_run: Path, name: str) -> None:
    assert sentences_missing(kept_texts(russian_run), article(name)) == []


def test_the_recipes_keep_their_language_and_nothing_else(chinese_run: Path, russian_run: Path) -> None:
    for run, wanted in ((chinese_run, chinese()), (russian_run, russian())):
        kept = {url for url, _, ends in fates(run) if ends == KEPT}
        assert kept == {p.page.url for p in wanted}


def test_old_charsets_are_recognized(chinese_run: Path, russian_run: Path) -> None:
    """One page in GB18030 that declares nothing, one in windows-1251 that says so in the page."""
    charsets = {
        row["url"]: row["extract.charset"]
        for run in (chinese_run, russian_run)
        for ledger in (run / "ledger").glob("*.arrow")
        for batch in read_batches(ledger, ["url", "extract.charset"])
        for row in batch.to_pylist()
    }
    (clock,) = (p.page for p in chinese() if "GB18030" in p.what)
    (station,) = (p.page for p in russian() if "windows-1251" in p.what)
    assert charsets[clock.url] == "gb18030"
    assert charsets[station.url] == "cp1251"
    assert b"charset" not in clock.body
    assert clock.content_type == station.content_type == "text/html"


def test_refinedweb_is_english(tmp_path: Path) -> None:
    run = run_recipe("refinedweb", [*pages_of(chinese()), *pages_of(russian())], tmp_path)
    assert {ends for _, _, ends in fates(run)} == {"language.unwanted"}


def test_a_stage_for_a_language_that_is_not_kept_is_refused() -> None:
    with pytest.raises(UserError, match="xx is not among the languages that are kept: en, ru, zh"):
        load_recipe("en-zh-ru", ['quality_en.only_languages=["xx"]'])


def test_three_languages_in_one_run_are_kept_and_their_words_counted(tmp_path: Path) -> None:
    ledger = Ledger.open(run_recipe("en-zh-ru", pages_of(planted()), tmp_path))
    kept = ledger.fates()[0] == NOT_DROPPED
    words = ledger.words()
    assert words is not None
    for language in ("en", "ru", "zh"):
        rows = kept & np.array([found == language for found in ledger.column("language").to_pylist()])
        assert rows.any()
        assert (words[rows] > 0).all()
    assert json.loads(ledger.run.path("report.json").read_bytes())["documents"]["kept"] == kept.sum()


@pytest.fixture(scope="module")
def readme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first recipe of the README, as a file."""
    path = tmp_path_factory.mktemp("readme") / "recipe.toml"
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    path.write_text(next(block for block in blocks if "[source." in block))
    return path


@pytest.fixture(scope="module")
def readme_run(readme: Path) -> Path:
    return run_recipe(str(readme), pages_of(planted()), readme.parent)


def test_the_recipe_in_the_readme_keeps_the_good_pages_of_both_its_languages(readme_run: Path) -> None:
    good = {p.page.url for p in (*chinese(), *russian())}
    assert {url: end for url, _, end in fates(readme_run) if url in good} == dict.fromkeys(good, KEPT)
    assert alarm_lines(readme_run) == []


def test_a_rule_that_drops_a_whole_language_is_an_alarm_that_names_rule_language_share_and_setting(
    readme: Path, tmp_path: Path
) -> None:
    settings = ['gopher_quality.stop_words=["the", "of"]', "alarms.min_language_documents=3"]
    run = run_recipe(str(readme), [*pages_of(chinese()), *pages_of(russian())], tmp_path, settings)
    for language, alarm in zip(("ru", "zh"), alarm_lines(run), strict=True):
        assert alarm.startswith(
            f"alarm: gopher_quality.too_few_stop_words drops 3 of 3 documents in {language} (100.0%), above "
            "alarms.max_rule_dropped_fraction = 0.8; "
        )
        assert "change gopher_quality.min_stop_words" in alarm
    assert [line for line in lines(run) if str(line).startswith("alarm: ")] == alarm_lines(run)


def test_other_limits_by_language_are_replayed_as_a_run_has_them(
    readme: Path, readme_run: Path, tmp_path: Path
) -> None:
    setting = ["gopher_quality.min_mean_word_length=2.0"]
    run = run_recipe(str(readme), pages_of(planted()), tmp_path, setting)
    forecast = whatif(readme_run, setting)
    assert forecast.changes == ("gopher_quality.min_mean_word_length by language -> 2.0",)
    kept = [
        sum(row["drop_reasons"] == [] for row in Ledger.open(r).rows(range(Ledger.open(r).num_rows)))
        for r in (readme_run, run)
    ]
    assert [forecast.before.documents, forecast.least.documents] == kept
    assert kept[0] > kept[1]


def test_explain_shows_the_limits_of_a_document_s_own_language(readme_run: Path) -> None:
    limits = {}
    for pages in (chinese(), russian()):
        told = "\n".join(explain_lines(explain(readme_run, pages[0].page.url), readme_run, everything=True))
        limits[pages[0].page.url[-2:]] = re.findall(r"words_too_(?:short|long).*?([≥≤] \d+)", told)
    assert list(limits.values()) == [["≥ 1", "≤ 5"], ["≥ 3", "≤ 11"]]
