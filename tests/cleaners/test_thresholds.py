from cleaners.gopher_quality import GopherQualityConfig
from cleaners.gopher_repetition import GopherRepetitionConfig


def test_a_threshold_that_is_off_has_no_rule_and_keeps_its_metric() -> None:
    config = GopherRepetitionConfig.parse({"name": "r", "max_top_2gram_fraction": False}, "recipe.toml: stage[0] r")
    assert config.max_top_2gram_fraction is None
    assert "max_top_2gram_fraction" not in {rule.setting for rule in config.rules()}
    assert "r.top_2gram_fraction" in config.columns().names


def test_a_threshold_that_is_off_survives_the_way_through_toml() -> None:
    config = GopherQualityConfig(name="q", min_words=None, max_hash_ratio=0.2)
    dumped = config.model_dump(mode="json")
    assert dumped["min_words"] is False
    assert GopherQualityConfig.parse(dumped, "recipe.toml") == config
