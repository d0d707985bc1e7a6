"""Limits and stop words by language."""

import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cleaners.assets.languages import Language, language, languages, limits, limits_where
from cleaners.gopher_quality import GopherQualityConfig
from cleaners.language_model import language_model_path, load_model, predict
from pipelines.core import failing
from shards.stage import OTHER_LANGUAGES


def test_english_and_rows_without_a_language_have_gopher_s_values() -> None:
    gopher = Language(3.0, 10.0, 0.8, ("the", "be", "to", "of", "and", "that", "have", "with"))
    assert language("en") == language("eng_Latn") == language(None) == gopher


def test_a_language_goes_by_both_of_its_codes() -> None:
    assert language("ru") == language("rus_Cyrl")
    assert language("ru").stop_words[:4] == ("в", "и", "на", "с")
    assert (language("zh").min_mean_word_length, language("cmn_Hani").max_mean_word_length) == (1.0, 5.0)


def test_the_list_has_every_language_of_the_model() -> None:
    known = {label.removeprefix("__label__") for label in load_model(language_model_path()).get_labels()}
    assert known <= languages().keys()


def test_a_language_outside_the_list_has_no_such_rules() -> None:
    assert language("tlh") == Language()
    assert limits("min_mean_word_length")[OTHER_LANGUAGES] == (None, None)
    assert limits_where("stop_words", (2, None))[OTHER_LANGUAGES] == (None, None)
    assert limits_where("spaced", (50, None))[OTHER_LANGUAGES] == (50, None)


def test_words_without_spaces_are_not_counted() -> None:
    assert limits_where("spaced", (50, None))["th"] == (None, None)
    assert limits_where("spaced", (50, None))["zh"] == (50, None)
    assert limits("max_mean_word_length")["th"] == (None, None)


def test_no_stop_word_is_blank() -> None:
    assert all(word.strip() for entry in languages().values() for word in entry.stop_words)


@pytest.mark.slow
@pytest.mark.real
def test_clean_sentences_of_65_languages_pass_the_rules_of_their_language(real_data: Path) -> None:
    """Twelve sentences a text; at most 1 text in 83 fails, but for Basque and Latin."""
    config, model = GopherQualityConfig(name="q"), load_model(language_model_path())
    stage, shares = config.build(), {}
    with tarfile.open(real_data / "langid/lingua-testdata.tar.xz") as archive:
        for member in archive:
            if not (member.isfile() and "/sentences/" in member.name):
                continue
            sentences = [line for line in archive.extractfile(member).read().decode().split("\n") if line.strip()]  # type: ignore[union-attr]
            texts = ["\n".join(sentences[i : i + 12]) for i in range(0, len(sentences) - 11, 12)]
            found, code = (
                [name for name, _ in predict(model, [text.replace("\n", " ") for text in texts])],
                Path(member.name).stem,
            )
            most = max(sorted(set(found)), key=found.count)
            if most == {"nb": "no", "bs": "hr", "ms": "id"}.get(code, code):
                batch = stage(
                    pa.record_batch({"text": pa.array(texts, pa.large_string()), "language": [most] * len(texts)})
                )
                fails = [failing(batch[rule.metric], rule, batch["language"]) for rule in config.rules()]
                shares[code] = np.logical_or.reduce(fails).mean()
    assert len(shares) == 65
    assert {code: round(share, 2) for code, share in shares.items() if share > 1 / 83} == {"eu": 0.04, "la": 0.07}
