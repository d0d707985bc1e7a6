"""`gristmill recipes`."""

from command import gristmill

from pipelines.recipe import builtin_names


def test_recipes_lists_and_prints() -> None:
    listed = gristmill("recipes")
    assert all(f"{name}  " in listed.stdout for name in builtin_names())
    assert "\\" not in listed.stdout, "the lines of a description are lines"
    assert '[[stage]]\nkind = "extract"' in gristmill("recipes", "refinedweb").stdout
