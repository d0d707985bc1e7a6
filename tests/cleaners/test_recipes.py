"""The rule stages of every built-in recipe, one after the other, on plain pages of its language."""

import pytest
from stage_cases import reasons, texts

from cleaners.pii import PiiConfig
from pipelines.recipe import builtin_names, load_recipe
from shards.stage import StageConfig

NOT_RULES = {"url", "page", "extract", "language"}
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


def rule_stages(name: str) -> list[StageConfig]:
    recipe = load_recipe(name)
    return [stage for kind, stage in recipe.stages if isinstance(stage, StageConfig) and kind not in NOT_RULES]


@pytest.mark.parametrize("name", builtin_names())
def test_a_recipe_keeps_prose_and_drops_a_list_of_links(name: str) -> None:
    prose = {"fineweb2-ru": RUSSIAN, "fineweb2-zh": CHINESE}.get(name, ENGLISH)
    batch = texts("\n".join(prose), "\n".join(["Home", "Shop", "About us", "Contact", "Home"] * 5))
    failing: list[set[str]] = [set(), set()]
    for stage in rule_stages(name):
        for row, found in enumerate(reasons(stage, batch)):
            failing[row] |= set(found)
        batch = stage.build()(batch).select(["text"])
    assert failing[0] == set()
    assert failing[1]
    assert batch["text"][0].as_py() == "\n".join(prose)


@pytest.mark.parametrize("name", builtin_names())
def test_a_recipe_says_what_it_is(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert "arXiv" in recipe.about
    assert [source.kind for source in recipe.sources.values()] == ["warc"]


def test_fineweb_ends_with_personal_data() -> None:
    for name in ("fineweb", "fineweb2-ru", "fineweb2-zh"):
        assert isinstance(rule_stages(name)[-1], PiiConfig)
