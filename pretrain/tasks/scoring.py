"""Scores of a task: by question, and as figures.

    choices     the likeliest choice, by ln p, and by ln p divided by its characters
    letters     the likeliest letter; its probability is softmax over the ln p of A, B, C and D
    last_word   whether the model, taking the likeliest token each time, writes the word; and exp(-mean ln p)

The verb `gristmill eval` and the training loop call the same functions.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pretrain.log_likelihoods import Text
from pretrain.tasks.prompts import DEFAULT_SHOTS, answers, concluding, context, thinking
from pretrain.tasks.questions import Kind, Question, Task
from pretrain.tokenizing.tokenizer import Tokenizer

LogLikelihoods = Callable[[Sequence[Text]], np.ndarray]  # float64[texts, 2], as `log_likelihoods` gives
Thinks = Callable[[str], str]


@dataclass(frozen=True)
class Answered:
    """A question with what the model made of it."""

    prompt: str
    question: Question
    thoughts: str | None
    log_p: tuple[float, ...]  # of each choice
    is_written: bool  # the right answer is what the model would write
    chosen: int
    chosen_by_char: int
    probability: float  # of the right answer among the choices

    def record(self, task: Task) -> dict[str, Any]:
        """The line of this question in a file of answers."""
        is_word = task.kind == "last_word"
        record: dict[str, Any] = {"task": task.name, "subject": self.question.subject, "prompt": self.prompt}
        record |= {"answers": answers(task.kind, self.question), "gold": self.question.gold, "log_p": self.log_p}
        if self.thoughts is not None:
            record["thoughts"] = self.thoughts
        if is_word:
            return record | {"right": self.is_written}
        right = {"chosen": self.chosen, "right": self.chosen == self.question.gold, "probability": self.probability}
        if task.kind == "letters":
            return record | right
        return (
            record
            | right
            | {
                "chosen_by_char": self.chosen_by_char,
                "right_by_char": self.chosen_by_char == self.question.gold,
            }
        )


def answer_task(
    task: Task,
    tokenizer: Tokenizer,
    scores: LogLikelihoods,
    *,
    max_length: int,
    shots: int | None = None,
    thinks: Thinks | None = None,
) -> list[Answered]:
    """Each question with its scores. `shots` examples come before it, by default `DEFAULT_SHOTS`.

    With `thinks`, which continues a text, letters are compared after the model has thought.
    """
    count = DEFAULT_SHOTS[task.kind] if shots is None else shots
    prompts = [context(task.kind, q, task.shots(number, count)) for number, q in enumerate(task.questions)]
    thoughts: list[str | None] = [None] * len(prompts)
    if thinks is not None and task.kind == "letters":
        found = [thinks(thinking(prompt)) for prompt in prompts]
        prompts = [concluding(prompt, thought) for prompt, thought in zip(prompts, found, strict=True)]
        thoughts = list(found)
    pairs = [
        (prompt, answer)
        for prompt, question in zip(prompts, task.questions, strict=True)
        for answer in answers(task.kind, question)
    ]
    texts = encoded(tokenizer, pairs, max_length)
    values = scores(texts)
    answered, first = [], 0
    for prompt, question, thought in zip(prompts, task.questions, thoughts, strict=True):
        own = slice(first, first := first + len(question.choices))
        log_p, gold = values[own, 0], question.gold
        chars = np.array([len(choice) for choice in question.choices])
        answered.append(
            Answered(
                prompt,
                question,
                thought,
                tuple(log_p.tolist()),
                bool(values[own, 1][gold] == len(texts[own][gold].scored)),
                int(log_p.argmax()),
                int((log_p / chars).argmax()),
                float(np.exp(log_p[gold] - np.logaddexp.reduce(log_p))),
            )
        )
    return answered


def figures(kind: Kind, answered: Sequence[Answered]) -> dict[str, float]:
    """Accuracy with its standard error, and what else the kind of task has."""
    right = [one.is_written if kind == "last_word" else one.chosen == one.question.gold for one in answered]
    mean = float(np.mean(right))
    out = {"questions": float(len(right)), "accuracy": mean, "standard_error": _standard_error(mean, len(right))}
    if kind == "last_word":
        return out | {"perplexity": math.exp(-float(np.mean([one.log_p[0] for one in answered])))}
    if kind == "letters":
        return out | {"probability": float(np.mean([one.probability for one in answered]))}
    by_char = float(np.mean([one.chosen_by_char == one.question.gold for one in answered]))
    return out | {"accuracy_by_char": by_char, "standard_error_by_char": _standard_error(by_char, len(right))}


def encoded(tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]], max_length: int) -> list[Text]:
    """Each context with its continuation, whose tokens are scored: those of the whole after as many as the context has.

    Spaces at the end of a context belong to its continuation, as in lm_eval.
    """
    contexts = [before.rstrip() for before, _ in pairs]
    wholes = tokenizer.encode_batch([before + after for before, after in pairs])
    num_before = {text: len(ids) for text, ids in zip(contexts, tokenizer.encode_batch(contexts), strict=True)}
    return [
        Text.ending(np.concatenate([[tokenizer.bos], ids]), len(ids) - num_before[before], max_length)
        for before, ids in zip(contexts, wholes, strict=True)
    ]


def _standard_error(mean: float, count: int) -> float:
    return math.sqrt(mean * (1 - mean) / count)
