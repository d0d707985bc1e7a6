"""The best share is kept exactly, and ties are broken by id."""

from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.top_share import TopShareConfig
from pipelines.executors import InProcess
from pipelines.recipe import parse_recipe
from shards.errors import UserError
from shards.exchange import Block
from shards.sink import ArrowSink, read_table

SCHEMA = pa.schema([("id", pa.string()), ("classifier.score", pa.float64())])
Row = tuple[str, float | None]


def removed(rows: list[Row], cuts: list[int], kept_fraction: float, folder: Path) -> set[str]:
    """Ids that are removed when `rows` are in units cut at `cuts`."""
    units, places = [], {}
    for number, (begin, end) in enumerate(pairwise([0, *cuts, len(rows)])):
        unit = Block(number, f"web-00000-{number:03d}", (folder / f"{number}.text.arrow",))
        with ArrowSink(unit.texts[0], SCHEMA) as sink:
            ids, values = zip(*rows[begin:end], strict=True) if end > begin else ((), ())
            sink.write(pa.record_batch([pa.array(ids, pa.string()), pa.array(values, pa.float64())], schema=SCHEMA))
        places[unit.key] = begin
        units.append(unit)
    config = TopShareConfig(metric="classifier.score", kept_fraction=kept_fraction)
    config.resolve(units, folder / "top_share", InProcess())
    left = set()
    for key, begin in places.items():
        path = folder / "top_share" / f"{key}.arrow"
        if path.exists():
            verdicts = read_table(path).to_pydict()
            assert verdicts["row"] == sorted(verdicts["row"])
            assert set(verdicts["twin"]) == {None}
            left |= {rows[begin + row][0] for row in verdicts["row"]}
    return left


@given(
    values=st.lists(st.one_of(st.none(), st.sampled_from([0.0, 0.25, 0.5]), st.floats(0, 1)), max_size=40),
    kept_fraction=st.sampled_from([0.001, 0.1, 0.5, 0.99, 1.0]),
    data=st.data(),
)
def test_exactly_the_best_are_kept_and_ties_are_broken_by_id_however_units_are_cut(
    tmp_path_factory: pytest.TempPathFactory, values: list[float | None], kept_fraction: float, data: st.DataObject
) -> None:
    ids = data.draw(st.permutations([f"{i:032x}" for i in range(len(values))]))
    rows: list[Row] = list(zip(ids, values, strict=True))
    measured = sorted((-value, id) for id, value in rows if value is not None)
    expected = {id for _, id in measured[int(len(measured) * kept_fraction + 0.5) :]}
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    for number, cut in enumerate(([], cuts)):
        assert removed(rows, cut, kept_fraction, tmp_path_factory.mktemp(f"cut{number}")) == expected


def recipe(*stages: dict[str, object]) -> None:
    parse_recipe({"source": {"s": {"kind": "shards"}}, "stage": list(stages)}, "here")


def test_a_metric_that_no_stage_carries_is_refused() -> None:
    top = {"kind": "top_share", "metric": "gopher_quality.word_count"}
    with pytest.raises(UserError, match=r"no stage before it carries 'gopher_quality\.word_count'.*language_score"):
        recipe({"kind": "language"}, {"kind": "gopher_quality"}, top)
    recipe({"kind": "language"}, {"kind": "top_share", "metric": "language_score"})


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.5])
def test_a_share_outside_0_to_1_is_refused(fraction: float) -> None:
    with pytest.raises(UserError, match="kept_fraction"):
        TopShareConfig.parse({"metric": "a", "kept_fraction": fraction}, "here")
