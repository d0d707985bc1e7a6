import pyarrow as pa
import pytest

from shards.stage import OTHER_LANGUAGES, Before, Rule, StageConfig, with_columns


class LengthConfig(StageConfig):
    """A stage with two thresholds and a setting that is none."""

    name: str = "length"
    min_words: int = 50
    max_words: int = 1000
    unit: str = "words"

    def rules(self) -> tuple[Rule, ...]:
        return (
            self.rule("too_short", "words", "min_words"),
            self.rule("too_long", "words", "max_words"),
        )


def test_a_rule_keeps_values_from_min_to_max() -> None:
    assert LengthConfig().rules() == (
        Rule("length.too_short", "length.words", "min_words", min_kept=50),
        Rule("length.too_long", "length.words", "max_words", max_kept=1000),
    )


@pytest.mark.parametrize(("key", "value", "expected"), [("min_words", 40, True), ("unit", "bytes", False)])
def test_a_setting_moves_a_threshold_where_a_rule_is_named_after_it(key: str, value: object, expected: bool) -> None:
    before, after = LengthConfig(), LengthConfig().model_copy(update={key: value})
    assert before.moves_threshold(key, after) == expected
    assert (before.replay_refusal(key, after) is None) == expected


def test_a_setting_that_also_changes_another_rule_is_no_threshold() -> None:
    class Linked(LengthConfig):
        def rules(self) -> tuple[Rule, ...]:
            return (
                self.rule("too_short", "words", "min_words"),
                Rule("length.too_long", "length.words", "max_words", max_kept=20 * self.min_words),
            )

    assert not Linked().moves_threshold("min_words", Linked(min_words=40))


@pytest.mark.parametrize(
    ("languages", "columns", "kept", "refusal"),
    [
        ((), {}, (), None),
        (("ru",), {}, (), "only_languages: no stage of kind `language` stands before it"),
        (("ru",), {"language": "language"}, (), None),
        (("ru",), {"language": "language"}, ("ru", "zh"), None),
        (
            ("ru", "fr"),
            {"language": "language"},
            ("zh", "ru"),
            "only_languages: fr is not among the languages that are kept: ru, zh",
        ),
    ],
)
def test_languages_must_be_known_and_kept_before_a_stage_that_chooses_by_them(
    languages: tuple[str, ...], columns: dict[str, str], kept: tuple[str, ...], refusal: str | None
) -> None:
    before = Before(("web",), columns, languages=frozenset(kept))
    assert LengthConfig(only_languages=languages).refusal(before) == refusal


def test_columns_are_replaced_in_place_and_new_ones_appended() -> None:
    batch = pa.record_batch({"a": [1], "b": [2]})
    result = with_columns(batch, {"c": pa.array([3]), "a": pa.array(["x"])})
    assert result.schema.names == ["a", "b", "c"]
    assert result.to_pylist() == [{"a": "x", "b": 2, "c": 3}]


BY_LANGUAGE = Rule(
    "r", "m", "min_m", 3.0, by_language={"zh": (1.0, 5.0), "th": (None, None), OTHER_LANGUAGES: (2.0, None)}
)


def test_limits_are_those_of_a_language_or_of_others_or_for_no_language_the_rule_s_own() -> None:
    limits = {code: BY_LANGUAGE.limits(code) for code in ("zh", "th", "xx", None)}
    assert limits == {"zh": (1.0, 5.0), "th": (None, None), "xx": (2.0, None), None: (3.0, None)}
    assert Rule("r", "m", "min_m", 3.0).limits("zh") == (3.0, None)


def test_a_rule_within_languages_has_their_loosest_limits() -> None:
    for languages, low, high in (
        ({"zh"}, 1.0, 5.0),
        ({"zh", None}, 1.0, None),
        ({"zh", "th"}, None, None),
        ((), 3.0, None),
    ):
        assert BY_LANGUAGE.within(languages) == Rule("r", "m", "min_m", low, high)
