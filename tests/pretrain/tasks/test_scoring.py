"""Scores of questions by hand-made likelihoods."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pretrain.log_likelihoods import Text
from pretrain.tasks.questions import Question, Task
from pretrain.tasks.scoring import answer_task, encoded, figures
from pretrain.tokenizing.tokenizer import Tokenizer


@pytest.fixture
def tokenizer(tokenizer_path: Path) -> Tokenizer:
    return Tokenizer(tokenizer_path)


def task(kind: str, *questions: Question) -> Task:
    return Task("task", kind, questions, ())  # type: ignore[arg-type]


def test_choices_are_compared_by_sum_and_by_character(tokenizer: Tokenizer) -> None:
    asked = task("choices", Question("s", "Q", ("ab", "abcdefgh"), 1), Question("s", "R", ("ab", "abcd"), 0))
    found = answer_task(
        asked, tokenizer, lambda texts: np.array([[-2, 0], [-4, 0], [-1, 0], [-8, 0]], np.float64), max_length=64
    )
    assert [(one.chosen, one.chosen_by_char) for one in found] == [(0, 1), (0, 0)]
    assert found[0].probability == pytest.approx(math.exp(-4) / (math.exp(-4) + math.exp(-2)))
    values = figures("choices", found)
    assert (values["questions"], values["accuracy"], values["accuracy_by_char"]) == (2, 0.5, 1.0)
    assert values["standard_error"] == pytest.approx(math.sqrt(0.25 / 2))
    assert found[0].record(asked)["right_by_char"] is True


def test_a_word_is_right_where_each_of_its_tokens_is_the_likeliest(tokenizer: Tokenizer) -> None:
    asked = task("last_word", Question("s", "The mill grinds", ("wheat",), 0), Question("s", "The", ("mill",), 0))

    def scores(texts: Sequence[Text]) -> np.ndarray:
        counts = [len(text.scored) for text in texts]
        return np.array([[-1.0, counts[0]], [-3.0, counts[1] - 1]])

    found = answer_task(asked, tokenizer, scores, max_length=64)
    assert [one.record(asked)["right"] for one in found] == [True, False]
    assert figures("last_word", found)["perplexity"] == pytest.approx(math.exp(2))


def test_letters_are_compared_after_thinking(tokenizer: Tokenizer) -> None:
    asked = task("letters", *(Question("s", text, ("1", "2", "3", "4"), 3) for text in "QRS"))
    log_p = np.log([[0.1, 0.2, 0.3, 0.4]] * 3)
    heard: list[str] = []

    def thinks(prompt: str) -> str:
        heard.append(prompt)
        return "hmm"

    found = answer_task(
        asked, tokenizer, lambda texts: np.stack([log_p.ravel(), np.zeros(12)], 1), max_length=999, thinks=thinks
    )
    assert len(heard) == 3
    assert all(one.prompt.startswith(prompt) and "hmm" in one.prompt for one, prompt in zip(found, heard, strict=True))
    assert figures("letters", found)["probability"] == pytest.approx(0.4)
    assert found[0].prompt.count("答案：") == 3, "two examples and the question"


def test_a_continuation_is_what_the_whole_has_after_the_context(tokenizer: Tokenizer) -> None:
    (text,) = encoded(tokenizer, [("The mill ", "grinds")], 64)
    whole = tokenizer.encode_batch(["The mill grinds"], 1)[0]
    assert text.ids.tolist() == [tokenizer.bos, *whole.tolist()]
    before = len(tokenizer.encode_batch(["The mill"], 1)[0])
    assert text.scored.tolist() == list(range(1 + before, len(text.ids)))
