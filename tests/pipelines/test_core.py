"""The laws of the core: no row is lost, the first failing stage decides, a null metric passes."""

from typing import ClassVar

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipelines.core import decide, failing, measure, metric_of, run_stage, split
from shards.schema import PROVENANCE, TEXT
from shards.stage import Batch, Rule, Stage, StageConfig, with_columns
from shards.stats import Stats

texts = st.lists(
    st.one_of(st.none(), st.text(), st.sampled_from(["", "\0", "a" * 100_000, "文" * 30, "مرحبا", "🙂"])), max_size=12
)


class LengthConfig(StageConfig):
    """A stage for these tests: the text's length in characters, with both bounds."""

    name: str
    min_length: int = 2
    max_length: int = 20

    def columns(self) -> pa.Schema:
        return pa.schema([pa.field(f"{self.name}.length", pa.int64())])

    def rules(self) -> tuple[Rule, ...]:
        return (self.rule("too_short", "length", "min_length"), self.rule("too_long", "length", "max_length"))

    def build(self) -> Stage:
        def stage(batch: Batch) -> Batch:
            lengths = [None if t is None else len(t) for t in batch["text"].to_pylist()]
            return with_columns(batch, {f"{self.name}.length": pa.array(lengths, pa.int64())})

        return stage


class GateConfig(LengthConfig):
    stops: ClassVar[bool] = True


def rows(values: list[str | None]) -> Batch:
    schema = pa.schema([*PROVENANCE, TEXT])
    return pa.RecordBatch.from_pylist([{"id": f"{i:032x}", "text": t} for i, t in enumerate(values)], schema)


def run(batch: Batch, *configs: StageConfig) -> tuple[Batch, list[Batch], Stats]:
    stats = Stats()
    measured = measure(batch, [(c, c.build()) for c in configs], stats)
    return measured.kept, measured.dropped, stats


@given(texts)
def test_rows_in_are_rows_kept_plus_rows_dropped_by_reason(values: list[str | None]) -> None:
    batch = rows(values)
    kept, dropped, stats = run(batch, GateConfig(name="gate", max_length=1000), LengthConfig(name="length"))
    ids = [i for part in (kept, *dropped) for i in part["id"].to_pylist()]
    assert sorted(ids) == batch["id"].to_pylist()
    assert kept.num_rows + sum(stats.below("dropped").values()) == len(values)
    assert kept["drop_reasons"].to_pylist() == [[]] * kept.num_rows
    for part in dropped:
        assert all(part["drop_reasons"].to_pylist())


def test_a_gate_takes_rows_out_before_later_stages_measure_them() -> None:
    _, (gone,), _ = run(rows(["x"]), GateConfig(name="gate"), LengthConfig(name="later"))
    assert "later.length" not in gone.schema.names
    assert gone["drop_reasons"].to_pylist() == [["gate.too_short"]]


def test_without_a_gate_later_stages_measure_but_the_first_failing_one_decides() -> None:
    kept, (gone,), stats = run(
        rows(["x", "xxx"]), LengthConfig(name="first"), LengthConfig(name="second", min_length=3, max_length=3)
    )
    assert gone["second.length"].to_pylist() == [1]
    assert gone["drop_reasons"].to_pylist() == [["first.too_short"]]
    assert stats.below("failed") == {"first.too_short": 1, "second.too_short": 1}
    assert stats.below("dropped") == {"first.too_short": 1}
    assert kept["text"].to_pylist() == ["xxx"]


def test_all_failing_rules_of_the_deciding_stage_are_listed_in_recipe_order() -> None:
    batch = with_columns(
        rows(["x"]), {"m": pa.array([5]), "n": pa.array([0.3]), "drop_reasons": pa.array([[]], pa.list_(pa.string()))}
    )
    rules = [
        Rule("s.a", "m", "max_a", max_kept=4),
        Rule("s.ok", "m", "max_ok", max_kept=5),
        Rule("s.b", "n", "min_b", min_kept=0.31),
    ]
    assert decide(batch, rules, Stats())["drop_reasons"].to_pylist() == [["s.a", "s.b"]]


def test_bounds_are_kept_themselves_and_null_passes() -> None:
    metric = pa.array([1, 2, 3, 4, None], pa.int64())
    assert failing(metric, Rule("r", "m", "s", min_kept=2, max_kept=3)).tolist() == [True, False, False, True, False]
    third = pa.array([0.3, 0.30000000000000004], pa.float64())
    assert failing(third, Rule("r", "m", "s", max_kept=0.3)).tolist() == [False, True]


def test_large_counts_are_not_rounded_to_floats() -> None:
    assert failing(pa.array([2**53 + 1], pa.int64()), Rule("r", "m", "s", max_kept=2**53)).tolist() == [True]


@given(st.lists(st.lists(st.sampled_from(["a", "b"]), max_size=2), max_size=8))
def test_split_returns_both_parts(reasons: list[list[str]]) -> None:
    batch = with_columns(rows([None] * len(reasons)), {"drop_reasons": pa.array(reasons, pa.list_(pa.string()))})
    kept, dropped = split(batch)
    assert kept.num_rows == sum(not r for r in reasons)
    assert dropped.num_rows == sum(bool(r) for r in reasons)


class _Doubling(StageConfig):
    """Measures the length of the text and writes the text twice."""

    edits: ClassVar[bool] = True

    def columns(self) -> pa.Schema:
        return pa.schema([pa.field("doubling.chars", pa.int64()), TEXT])

    def build(self) -> Stage:
        def double(batch: Batch) -> Batch:
            texts = batch["text"].to_pylist()
            doubled = pa.array([t and 2 * t for t in texts], pa.large_string())
            return with_columns(batch, {"doubling.chars": pa.array([len(t or "") for t in texts]), "text": doubled})

        return double


@given(st.lists(st.tuples(st.sampled_from([None, "zh", "ru", "en"]), st.none() | st.text()), max_size=20))
def test_a_stage_for_some_languages_leaves_the_others_as_they_are(rows: list[tuple[str | None, str | None]]) -> None:
    languages, texts = [row[0] for row in rows], [row[1] for row in rows]
    batch = pa.record_batch({"language": pa.array(languages, pa.string()), "text": pa.array(texts, pa.large_string())})
    config = _Doubling(name="doubling", only_languages=("zh", "ru"))
    done = run_stage(batch, config, config.build())
    chosen = [language in ("zh", "ru") for language in languages]
    assert done["text"].to_pylist() == [t and 2 * t if c else t for t, c in zip(texts, chosen, strict=True)]
    assert done["doubling.chars"].to_pylist() == [
        len(t or "") if c else None for t, c in zip(texts, chosen, strict=True)
    ]


def test_a_rule_for_one_language_lets_the_others_pass() -> None:
    columns = {"language": pa.array(["zh", "ru", None]), "score": pa.array([0.5, 0.5, 0.5])}
    rule = Rule("language.low_score.zh", "score", "min_scores", min_kept=0.69, language="zh")
    assert failing(metric_of(rule, columns.__getitem__), rule).tolist() == [True, False, False]


@given(
    st.lists(st.tuples(st.sampled_from([None, "en", "zh", "th", "xx"]), st.none() | st.integers(0, 10)), max_size=20)
)
def test_each_row_has_the_limits_of_its_language(rows: list[tuple[str | None, int | None]]) -> None:
    rule = Rule("r", "m", "min_m", 3, 8, by_language={"zh": (1, 5), "th": (None, None), "en": (4, None)})
    metric, languages = pa.array([row[1] for row in rows], pa.int64()), pa.array([row[0] for row in rows], pa.string())
    limits = {"zh": (1, 5), "th": (0, 99), "en": (4, 99)}
    expected = []
    for language, value in rows:
        low, high = limits.get(language or "", (3, 8))
        expected.append(value is not None and not low <= value <= high)
    assert failing(metric, rule, languages).tolist() == expected
    assert failing(metric, rule).tolist() == [value is not None and not 3 <= value <= 8 for _, value in rows]
