"""Stages whose rules compare metrics of their own with thresholds, stated in two tables. Any threshold can be off.

TOML has no null, so a threshold that does not apply is written `false` there: `max_top_2gram_fraction = false`. It is
None in Python and has no rule. Its metric is measured all the same.

A setting may also be "by language": then each row has the value for its own language (`cleaners.assets.languages`).
"""

from typing import Annotated, Any, ClassVar, Literal, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator, GetPydanticSchema, PlainSerializer
from pydantic_core.core_schema import no_info_wrap_validator_function

from shards.segmenters import SEGMENTED
from shards.stage import Batch, Rule, StageConfig, with_columns

T = TypeVar("T")
Threshold = Annotated[
    T | None,
    BeforeValidator(lambda value: None if value is False else value),
    PlainSerializer(lambda value: False if value is None else value),
]

BY_LANGUAGE: Literal["by language"] = "by language"


def or_by_language(kind: Any) -> GetPydanticSchema:
    """A setting of this kind, or BY_LANGUAGE. Messages are those of the kind: a union's would name both."""
    return GetPydanticSchema(
        lambda _, schema_of: no_info_wrap_validator_function(
            lambda value, check: value if value == BY_LANGUAGE else check(value), schema_of(kind)
        )
    )


LimitByLanguage: TypeAlias = Annotated[float | Literal["by language"] | None, or_by_language(Threshold[float])]
WordsByLanguage: TypeAlias = Annotated[
    tuple[str, ...] | Literal["by language"], or_by_language(tuple[str, ...]), PlainSerializer(lambda value: value)
]
# Whether a segmenter cuts Chinese and Japanese words, instead of single characters; by language it cuts the rows in
# these languages.
Segmented: TypeAlias = Annotated[
    bool | Literal["by language"], or_by_language(bool), PlainSerializer(lambda value: value)
]


def segmented_rows(batch: Batch, segmented: bool | Literal["by language"]) -> bool | np.ndarray:
    """What `words_of` needs to know of the setting: bool, or bool[rows]."""
    if segmented != BY_LANGUAGE:
        return bool(segmented)
    if "language" not in batch.schema.names:
        return False
    chosen: np.ndarray = pc.is_in(batch["language"], value_set=_SEGMENTED).to_numpy(zero_copy_only=False)
    return chosen


_SEGMENTED = pa.array(sorted(SEGMENTED))


class ThresholdConfig(StageConfig):
    """A local stage that adds the columns of METRICS and drops by RULES."""

    METRICS: ClassVar[dict[str, pa.DataType]]  # without the stage's name
    RULES: ClassVar[tuple[tuple[str, str, str], ...]]  # (reason, metric, setting)

    def columns(self) -> pa.Schema:
        return pa.schema([(f"{self.name}.{metric}", kind) for metric, kind in self.METRICS.items()])

    def rules(self) -> tuple[Rule, ...]:
        return tuple(self.rule(*rule) for rule in self.RULES if getattr(self, rule[2]) is not None)


def with_metrics(batch: Batch, name: str, metrics: dict[str, np.ndarray]) -> Batch:
    """`batch` with the metrics of its texts as columns `<name>.<metric>`, null for null texts and NaN."""
    missing = batch["text"].is_null().to_numpy(zero_copy_only=False)
    return with_columns(
        batch, {f"{name}.{m}": pa.array(values, mask=missing | np.isnan(values)) for m, values in metrics.items()}
    )
