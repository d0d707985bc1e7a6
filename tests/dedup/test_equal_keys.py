"""Documents with equal keys: the first in keep order is kept, of equal ones the smallest id."""

import random
from collections.abc import Callable

from dedup_cases import Fates, make_row

from dedup.exact import ExactConfig
from dedup.url_dedup import UrlDedupConfig

Make, Resolve = Callable[..., list], Callable[..., Fates]


def test_ties_are_broken_by_id_and_not_by_position(make_units: Make, resolve: Resolve) -> None:
    rows = [make_row(k, "text", url="http://e.org/") for k in range(50)]
    for config in (UrlDedupConfig(name="url"), ExactConfig(name="exact")):
        first = resolve(config, make_units(rows, 7, "some"), f"{config.name}-some")
        shuffled = make_units(random.Random(1).sample(rows, 50), 50, "one")
        assert resolve(config, shuffled, f"{config.name}-one") == first
        assert {twin for twin, _ in first.values()} == {min(row["id"] for row in rows)}
