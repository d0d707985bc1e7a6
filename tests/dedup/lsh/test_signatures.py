"""The S-curve, the estimate's bias and error, and kernels against numpy."""

import numpy as np
import pytest
from datasketch import MinHash
from hypothesis import given
from hypothesis import strategies as st

from dedup.lsh.signatures import band_keys, p_match, permutations, signatures


@pytest.mark.parametrize(
    ("bands", "rows", "published"),
    [
        (450, 20, (0.302, 0.761, 0.995, 1, 1)),  # RefinedWeb
        (14, 8, (0.565, 0.772, 0.924, 0.988, 1)),  # FineWeb
        (93, 15, (0.358, 0.714, 0.964, 1, 1)),  # DCLM
        (14, 9, (0.438, 0.665, 0.867, 0.975, 0.999)),  # RedPajama-2
        (9, 13, (0.084, 0.195, 0.399, 0.686, 0.929)),  # TxT360
        (20, 5, (0.975, 0.996, 1, 1, 1)),
    ],
)
def test_s_curve_is_the_published_one(bands: int, rows: int, published: tuple[float, ...]) -> None:
    found = [p_match(similarity, bands, rows) for similarity in (0.7, 0.75, 0.8, 0.85, 0.9)]
    assert found == pytest.approx(published, abs=6e-4)


def test_twenty_bands_of_450_rows_match_nothing_but_copies() -> None:
    assert p_match(0.95, 20, 450) < 1e-8


def test_permutations_never_change_and_are_bijections() -> None:
    a, b = permutations(5, seed=1)
    assert a.tolist() == [1175010553, 3892281679, 2582492139, 3119956743, 402685617]
    assert b.tolist() == [2250162916, 496608267, 3030522389, 2044804379, 3798359028]
    assert (permutations(1_000, seed=1)[0] % 2 == 1).all()
    assert len(np.unique(permutations(9_000, seed=1)[0])) > 8_990
    assert (permutations(1_000, seed=1)[0] != permutations(1_000, seed=2)[0]).any()


sets = st.lists(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=200, unique=True), min_size=1, max_size=4)


@given(sets, st.integers(1, 8))
def test_signatures_equal_plain_numpy(values: list[list[int]], num_hashes: int) -> None:
    a, b = permutations(num_hashes, seed=3)
    starts = np.cumsum([0, *map(len, values)])
    found = signatures(np.concatenate([np.array(v, np.uint32) for v in values]), starts, a, b)
    expected = [[np.min(np.array(v, np.uint32) * x + y) for x, y in zip(a, b, strict=True)] for v in values]
    np.testing.assert_array_equal(found, np.array(expected, np.uint32))


def pair(rng: np.random.Generator, common: int, union: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of u32 with |∩| = common and |∪| = union."""
    values = rng.choice(2**32, union, replace=False).astype(np.uint32)
    half = common + (union - common) // 2
    return np.sort(values[:half]), np.sort(np.concatenate([values[:common], values[half:]]))


def estimates(pairs: list[tuple[np.ndarray, np.ndarray]], num_hashes: int) -> np.ndarray:
    flat = [s for both in pairs for s in both]
    signed = signatures(np.concatenate(flat), np.cumsum([0, *map(len, flat)]), *permutations(num_hashes, 1))
    return (signed[::2] == signed[1::2]).mean(axis=1)


def datasketch_estimates(pairs: list[tuple[np.ndarray, np.ndarray]], num_hashes: int) -> np.ndarray:
    def signed(values: np.ndarray) -> MinHash:
        made = MinHash(num_hashes, seed=1, hashfunc=int, scheme="affine32")
        made.update_batch(values.tolist())
        return made

    return np.array([signed(a).jaccard(signed(b)) for a, b in pairs])


@pytest.mark.parametrize("union", [50, 300, 2_000])
@pytest.mark.parametrize("similarity", [0.5, 0.8])
def test_the_estimate_has_no_bias_and_the_binomial_error_like_datasketchs(similarity: float, union: int) -> None:
    num_hashes, num_pairs = 112, 600
    rng = np.random.default_rng(union)
    pairs = [pair(rng, round(similarity * union), union) for _ in range(num_pairs)]
    deviation = np.sqrt(similarity * (1 - similarity) / num_hashes)
    for estimate in (estimates, datasketch_estimates):
        found = estimate(pairs, num_hashes)
        assert abs(found.mean() - similarity) < 4 * deviation / np.sqrt(num_pairs)
        assert abs(found.std() / deviation - 1) < 4 / np.sqrt(2 * num_pairs)


def test_nine_thousand_hashes_are_as_independent_as_a_hundred() -> None:
    rng = np.random.default_rng(3)
    found = estimates([pair(rng, 120, 200) for _ in range(200)], 9_000)
    deviation = np.sqrt(0.6 * 0.4 / 9_000)
    assert abs(found.mean() - 0.6) < 4 * deviation / np.sqrt(200)
    assert abs(found.std() / deviation - 1) < 4 / np.sqrt(2 * 200)


@pytest.mark.parametrize(("bands", "rows"), [(14, 8), (9, 9), (450, 20)])
def test_bands_match_as_often_as_the_s_curve_says(bands: int, rows: int) -> None:
    rng = np.random.default_rng(1)
    num_pairs = 400
    pairs = [pair(rng, 225, 300) for _ in range(num_pairs)]  # similarity .75
    flat = [s for both in pairs for s in both]
    signed = signatures(np.concatenate(flat), np.cumsum([0, *map(len, flat)]), *permutations(bands * rows, 1))
    keys = band_keys(signed, bands, rows)
    found = (keys[:, ::2] == keys[:, 1::2]).any(axis=0).mean()
    expected = p_match(0.75, bands, rows)
    assert abs(found - expected) < 4 * np.sqrt(expected * (1 - expected) / num_pairs)


def test_band_keys_are_equal_exactly_where_all_rows_are() -> None:
    signed = np.random.default_rng(2).integers(0, 3, (300, 6)).astype(np.uint32)
    keys = band_keys(signed, 2, 3)
    for band in range(2):
        places = signed[:, band * 3 : band * 3 + 3]
        same_places = (places[:, None] == places[None]).all(axis=2)
        np.testing.assert_array_equal(keys[band][:, None] == keys[band][None], same_places)
    assert same_places.sum() > 300, "some pairs besides the diagonal"
