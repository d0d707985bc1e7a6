"""The stages with `compat = "datatrove"`."""

import pyarrow as pa
import pytest

from cleaners.c4 import C4Config
from cleaners.fineweb import FineWebConfig
from cleaners.gopher_quality import GopherQualityConfig
from cleaners.gopher_repetition import GopherRepetitionConfig
from cleaners.thresholds import ThresholdConfig

CONFIGS: tuple[ThresholdConfig, ...] = (
    GopherRepetitionConfig(name="gopher_repetition", compat="datatrove"),
    GopherQualityConfig(name="gopher_quality", compat="datatrove"),
    FineWebConfig(name="fineweb", compat="datatrove"),
    C4Config(name="c4", compat="datatrove"),
)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_compat_changes_formulas_but_neither_columns_nor_rules(config: ThresholdConfig) -> None:
    batch = pa.record_batch({"text": pa.array(["The mill grinds corn.\n" * 20, "", None, "\n"], pa.large_string())})
    plain = config.model_copy(update={"compat": None})
    measured = config.build()(batch)
    assert [rule.reason for rule in config.rules()] == [rule.reason for rule in plain.rules()]
    assert measured.schema == plain.build()(batch).schema
    for metric in config.METRICS:
        valid = measured[f"{config.name}.{metric}"].is_valid().to_pylist()
        assert (valid[0], valid[2]) == (True, False)


def test_a_fraction_of_nothing_is_not_measured() -> None:
    batch = pa.record_batch({"text": pa.array(["", "\n"], pa.large_string())})
    repetition_stage, quality_stage = CONFIGS[0].build(), CONFIGS[1].build()
    assert repetition_stage(batch)["gopher_repetition.top_2gram_fraction"].to_pylist() == [None, 0]
    assert quality_stage(batch)["gopher_quality.mean_word_length"].to_pylist() == [None, None]
    assert quality_stage(batch)["gopher_quality.bullet_line_fraction"].to_pylist() == [None, 0]
    assert quality_stage(batch)["gopher_quality.word_count"].to_pylist() == [0, 0]
