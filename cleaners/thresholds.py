"""Stages whose rules compare metrics of their own with thresholds, stated in two tables. Any threshold can be off.

TOML has no null, so a threshold that does not apply is written `false` there: `max_top_2gram_fraction = false`. It is
None in Python and has no rule. Its metric is measured all the same.
"""

from typing import Annotated, ClassVar, TypeVar

import numpy as np
import pyarrow as pa
from pydantic import BeforeValidator, PlainSerializer

from shards.stage import Batch, Rule, StageConfig, with_columns

T = TypeVar("T")
Threshold = Annotated[
    T | None,
    BeforeValidator(lambda value: None if value is False else value),
    PlainSerializer(lambda value: False if value is None else value),
]


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
