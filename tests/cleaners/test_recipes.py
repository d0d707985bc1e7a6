"""The rule stages of every built-in recipe, one after the other, on plain pages of its language."""

import numpy as np
import pyarrow as pa
import pytest
from stage_cases import texts

from cleaners.pii import PiiConfig
from pipelines import core
from pipelines.core import run_stage
from pipelines.recipe import builtin_names, load_recipe
from shards.stage import StageConfig, with_columns

NOT_RULES = {"url", "page", "extract", "language", "rehydrate"}
ENGLISH = [
    "The mill stands by the river, and it has ground the corn of the valley for three hundred years.",
    "Every autumn the farmers bring their wheat to the miller, who weighs it with care on a pair of iron scales.",
    "Water falls on the great wheel. The wheel turns a shaft that drives two stones. One of them lies still.",
    "Flour that comes from the stones is sifted, and the bran is kept for the animals of the farm.",
]
RUSSIAN = [
    "Мельница стоит у реки, и вот уже триста лет на ней мелют зерно со всей долины.",
    "Каждую осень крестьяне привозят мельнику пшеницу, а он взвешивает её на больших железных весах.",
    "Вода падает на колесо, и колесо вращает вал. Вал приводит в движение два жернова, один из них неподвижен.",
    "После помола муку просеивают, отруби же оставляют для скота, как это делали и сто лет назад.",
]
CHINESE = [
    "磨坊在河边，三百年来一直为山谷里的人磨面，村里的老人都记得它的声音。",
    "每年秋天，农民把小麦送到磨坊主那里，他用一对铁秤仔细地称重，然后记在本子上。",
    "水落在大轮子上，轮子带动一根轴。轴再带动两块石头，其中的一块不动。",
    "磨出来的面粉要过筛，麸皮留给牲口吃，这个做法是从前的人传下来的，没有人改变过。",
]


JAPANESE = [
    "水車小屋は川のほとりにあり、三百年のあいだ谷でとれた麦をひいてきた。村の年寄りはみなその音を覚えている。",
    "毎年の秋に農家の人たちが小麦を運んできて、粉屋は鉄のはかりで重さを量り、それを帳面に書きとめる。",
    "水が大きな車に落ちると、車は軸を回す。軸は二つの石を動かし、そのうちの一つは動かない。",
    "ひいた粉はふるいにかけて、残ったふすまは家畜に食べさせる。このやり方は昔の人から伝わったものである。",
]
PROSE = {"en": ENGLISH, "ru": RUSSIAN, "zh": CHINESE, "ja": JAPANESE}
LANGUAGES = {"fineweb2-ja": ["ja"], "fineweb2-ru": ["ru"], "fineweb2-zh": ["zh"], "map-neo": ["zh"]} | {
    "en-zh-ru": ["en", "zh", "ru"]
}


def rule_stages(name: str) -> list[StageConfig]:
    recipe = load_recipe(name)
    return [stage for kind, stage in recipe.stages if isinstance(stage, StageConfig) and kind not in NOT_RULES]


@pytest.mark.parametrize(
    ("name", "language"), [(name, language) for name in builtin_names() for language in LANGUAGES.get(name, ["en"])]
)
def test_a_recipe_keeps_prose_and_drops_a_list_of_links(name: str, language: str) -> None:
    prose = "\n".join(PROSE[language])
    batch = texts(prose, "\n".join(["Home", "Shop", "About us", "Contact", "Home"] * 5))
    batch = with_columns(batch, {"language": pa.array([language] * 2)})
    failing: list[set[str]] = [set(), set()]
    for stage in rule_stages(name):
        batch = run_stage(batch, stage, stage.build())
        for rule in stage.rules():
            fails = core.failing(core.metric_of(rule, batch.__getitem__), rule)
            for row in np.flatnonzero(fails):
                failing[row].add(rule.reason)
    assert failing[0] == set()
    assert failing[1]
    assert batch["text"][0].as_py() == prose


@pytest.mark.parametrize("name", builtin_names())
def test_a_recipe_says_what_it_is(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert "arXiv" in recipe.about
    assert [source.kind for source in recipe.sources.values()] == ["warc"]


def test_the_last_rules_of_fineweb_are_those_of_personal_data() -> None:
    for name in ("fineweb", "fineweb2-ja", "fineweb2-ru", "fineweb2-zh"):
        assert isinstance(rule_stages(name)[-1], PiiConfig)


@pytest.mark.parametrize("name", builtin_names())
def test_a_batch_without_live_rows_goes_through_a_recipe(name: str) -> None:
    """What is left of a file in another language; then a file with text, and nothing again."""
    nothing = with_columns(texts("Some text.").slice(0, 0), {"language": pa.array([], pa.string())})
    something = with_columns(texts("Some text."), {"language": pa.array(["en"])})
    stages = [(stage, stage.build()) for stage in rule_stages(name)]
    for batch in (nothing, something, nothing, texts(None).append_column("language", pa.array(["en"])), nothing):
        num_rows = batch.num_rows
        for config, stage in stages:
            batch = run_stage(batch, config, stage)
        assert batch.num_rows == num_rows
