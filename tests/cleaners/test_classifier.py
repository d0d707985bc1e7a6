from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage_cases import BAD, GOOD, reasons, texts, train_classifier
from word_oracle import any_text, split

from cleaners.classifier import ClassifierConfig, word_lines
from shards.errors import UserError


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real model of two sorts of sentences."""
    return train_classifier(tmp_path_factory.mktemp("model"))


@given(values=st.lists(st.one_of(st.none(), any_text, st.sampled_from(["x" * 100_000, "世界" * 1000])), max_size=6))
def test_a_line_is_the_words_of_the_text_with_a_space_between(values: list[str | None]) -> None:
    assert word_lines(texts(*values)["text"]) == [" ".join(split(value or "")) for value in values]


def test_a_slice_of_a_batch_gives_its_own_lines() -> None:
    batch = texts("a  b", "世界\nc", None, "d\te")
    assert word_lines(batch.slice(1)["text"]) == ["世 界 c", "", "d e"]


def test_a_page_cannot_name_its_own_label() -> None:
    assert word_lines(texts("__label__positive and __label____label__x")["text"]) == ["positive and x"]


def test_low_score(model: Path) -> None:
    batch = texts(GOOD.format(1), BAD.format(1))
    good, bad = ClassifierConfig(model=str(model)).build()(batch)["classifier.score"].to_pylist()
    assert 1 >= good > 0.9 > 0.1 > bad >= 0
    assert reasons(ClassifierConfig(model=str(model), min_score=good), batch) == [[], ["low_score"]]
    assert reasons(ClassifierConfig(model=str(model), min_score=bad), batch) == [[], []]
    assert reasons(ClassifierConfig(model=str(model)), batch) == [[], []]


def test_scores_of_two_labels_add_up_to_one_and_a_blank_text_has_none(model: Path) -> None:
    batch = texts(GOOD.format(7), None, " \n")
    scores = [
        ClassifierConfig(model=str(model), label=label).build()(batch)["classifier.score"].to_pylist()
        for label in ("positive", "negative")
    ]
    assert scores[0][0] + scores[1][0] == pytest.approx(1, abs=1e-4)
    assert scores[0][1:] == scores[1][1:] == [None, None]


def test_line_breaks_count_for_nothing(model: Path) -> None:
    words = GOOD.format(3).split()
    stage = ClassifierConfig(model=str(model)).build()
    a, b = stage(texts(" ".join(words), "\n\n".join(words)))["classifier.score"].to_pylist()
    assert a == b


def test_the_score_goes_along_with_the_text(model: Path) -> None:
    config = ClassifierConfig(name="quality", model=str(model))
    assert config.carried() == pa.schema([("quality.score", pa.float64())])
    assert list(config.digests()) == ["quality.model"]


@pytest.mark.parametrize("outside", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_min_score_that_no_probability_has_is_refused(outside: float) -> None:
    for inside in (0.0, 1.0):
        assert ClassifierConfig.parse({"model": "m", "min_score": inside}, "here").min_score == inside
    with pytest.raises(UserError, match=r"^here\.min_score: (expected a score from 0 to 1|Input should be a finite)"):
        ClassifierConfig.parse({"model": "m", "min_score": outside}, "here")


def test_a_label_that_the_model_lacks_and_a_missing_model_are_the_users_errors(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no label 'hq'; it has negative, positive"):
        ClassifierConfig(model=str(model), label="hq").build()
    with pytest.raises(UserError, match="is the path right"):
        ClassifierConfig(model=str(tmp_path / "none.bin")).digests()
