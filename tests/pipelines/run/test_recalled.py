"""Recorded metrics stand for measuring, and only rows that have none are measured."""

from collections.abc import Callable

import pyarrow as pa

from cleaners.gopher_quality import GopherQualityConfig
from cleaners.language import LanguageConfig
from pipelines.run.recalled import SAVED, Recalled
from shards.stage import Batch, Stage, with_columns

QUALITY = GopherQualityConfig(name="quality")


def texts(*values: str) -> Batch:
    return pa.record_batch({"text": pa.array(values, pa.large_string())})


def with_recorded(batch: Batch, of: Batch, names: list[str], rows: list[int | None]) -> Batch:
    """`batch` with the columns of `of`, in each row those of the row of `of` with this number."""
    index = pa.array(rows, pa.int64())
    return with_columns(batch, {SAVED + name: of[name].take(index) for name in names})


def never() -> Stage:
    raise AssertionError("a stage was built that measures nothing")


def counting(stage: Stage, seen: list[str]) -> Callable[[], Stage]:
    def build() -> Stage:
        def measure(batch: Batch) -> Batch:
            seen.extend(batch["text"].to_pylist())
            return stage(batch)

        return measure

    return build


def test_a_stage_whose_rows_were_all_measured_is_not_built() -> None:
    batch = texts("the mill and the river", "two words")
    measured = QUALITY.build()(batch)
    recalled = Recalled(QUALITY, never)(with_recorded(batch, measured, QUALITY.columns().names, [0, 1]))
    assert all(recalled[name].equals(measured[name]) for name in QUALITY.columns().names)
    nothing = with_recorded(batch, measured, QUALITY.columns().names, [0, 1]).slice(0, 0)
    assert Recalled(QUALITY, never)(nothing).num_rows == 0


def test_only_rows_without_recorded_metrics_are_measured() -> None:
    batch = texts("the mill and the river", "this row comes back", "two words", "so does this one")
    measured, seen = QUALITY.build()(batch), list[str]()
    saved = with_recorded(batch, measured, QUALITY.columns().names, [0, None, 2, None])
    recalled = Recalled(QUALITY, counting(QUALITY.build(), seen))(saved)
    assert seen == ["this row comes back", "so does this one"]
    assert all(recalled[name].equals(measured[name]) for name in QUALITY.columns().names)


def test_what_follows_from_the_settings_is_computed_anew() -> None:
    old, new = LanguageConfig(name="language"), LanguageConfig(name="language", languages=("zh", "ru"))
    batch = texts("An English page.", "Русская страница.")
    columns = {"language": pa.array(["en", "ru"]), "language_score": pa.array([0.9, 0.8])}
    recorded = with_columns(batch, columns | {"language.is_wanted": pa.array([1, 0])})
    recalled = Recalled(new, never)(with_recorded(batch, recorded, old.columns().names, [0, 1]))
    assert recalled["language.is_wanted"].to_pylist() == [0, 1]
    assert recalled["language"].to_pylist() == ["en", "ru"]
