"""The S-curve, datasketch's choice of a shape, and shapes that cannot work."""

import pytest
from datasketch.lsh import _optimal_param

from dedup.lsh.shape import best_shape, refusal, s_curve
from dedup.minhash import MinHashConfig
from shards.errors import UserError


@pytest.mark.parametrize("num_hashes", [1, 7, 32, 64, 128])
@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.7, 0.75, 0.8, 0.9, 0.99])
def test_the_shape_for_a_threshold_is_the_one_of_datasketch(num_hashes: int, threshold: float) -> None:
    assert best_shape(threshold, num_hashes) == _optimal_param(threshold, num_hashes, 0.5, 0.5)


def test_the_shape_for_256_hashes_is_the_one_of_datasketch() -> None:
    assert best_shape(0.8, 256) == _optimal_param(0.8, 256, 0.5, 0.5)


def test_the_curve_of_fineweb_is_the_published_one() -> None:
    """FineWeb's paper: 56, 77, 92 and 98.8 % at .7, .75, .8 and .85."""
    curve = s_curve(14, 8)
    assert list(curve) == [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    assert [round(curve[j], 3) for j in (0.7, 0.75, 0.8, 0.85)] == [0.565, 0.772, 0.924, 0.988]


def parse(**values: object) -> MinHashConfig:
    return MinHashConfig.parse({"name": "near"} | values, "recipe.toml: stage[3]")


def test_without_bands_and_rows_the_threshold_gives_them_and_the_recipe_shows_them() -> None:
    config = parse(threshold=0.8)
    assert (config.bands, config.rows) == _optimal_param(0.8, 128, 0.5, 0.5)
    shown = config.model_dump(mode="json", exclude_none=True)
    assert (shown["bands"], shown["rows"]) == (config.bands, config.rows)
    assert MinHashConfig.parse(shown, "recipe.toml") == config
    other = parse(threshold=0.8, num_hashes=64)
    assert (other.bands, other.rows) == _optimal_param(0.8, 64, 0.5, 0.5)
    assert MinHashConfig.parse(other.model_dump(exclude_none=True), "recipe.toml") == other


@pytest.mark.parametrize(
    ("bands", "rows", "said"),
    [
        (20, 450, "bands = 450, rows = 20"),  # RefinedWeb's shape, misread
        (1000, 101, "at most 100 rows"),
        (5, 20, "30.1% of the pairs of similarity 0.875"),
        (30, 1, "96% of the pairs of similarity 0.1"),
    ],
)
def test_shapes_that_cannot_work_are_refused_with_their_curve_on_one_line(bands: int, rows: int, said: str) -> None:
    with pytest.raises(UserError, match=said) as refused:
        parse(bands=bands, rows=rows)
    assert "(P(match) at 0.5: " in str(refused.value)
    assert ", 0.95: " in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("bands", "rows"), [(14, 8), (450, 20), (93, 15), (9, 13), (6, 1)])
def test_shapes_that_work_are_not_refused(bands: int, rows: int) -> None:
    assert refusal(bands, rows, 0.8) is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"bands": 14}, "bands and rows go together"),
        ({"rows": 8}, "bands and rows go together"),
        ({"bands": 14, "rows": 8, "num_hashes": 100}, "112 hashes, more than num_hashes = 100"),
        ({"num_hashes": 0}, "greater than or equal to 1"),
        ({"threshold": 1.5}, "less than or equal to 1"),
        ({"threshold": "high"}, "valid number"),
        ({"bands": 0, "rows": 8}, "greater than or equal to 1"),
    ],
)
def test_a_shape_that_contradicts_itself_is_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse(**values)
