"""Prompts: the text before which the answers of a question are compared.

    choices     {query}⏎Answer:                                   followed by " " and each choice
    letters     {question}⏎A. …⏎B. …⏎C. …⏎D. …⏎答案：             followed by A, B, C or D
    last_word   {context}                                         followed by " " and the word

Those of choices are lm_eval's for ARC and PIQA, those of letters C-Eval's (Huang et al., 2023), after a line that names
the subject. Examples come before, in the same form with their answers, a blank line after each.

A chain of thought has two steps (Kojima et al., "Large Language Models are Zero-Shot Reasoners", 2022): the model first
writes what it thinks, and then its letters are compared after a line that asks for the answer.
"""

from collections.abc import Sequence

from pretrain.tasks.questions import LETTERS, Kind, Question

_THINK = "让我们一步一步思考。"
_CONCLUDE = "\n因此，正确答案是："
DEFAULT_SHOTS = {"choices": 0, "letters": 5, "last_word": 0}  # C-Eval's five; of five questions the other four


def context(kind: Kind, question: Question, shots: Sequence[Question]) -> str:
    """The text before the answer."""
    head = f"以下是关于{question.subject}的单项选择题，请选出其中的正确答案。\n\n" if kind == "letters" else ""
    examples = "".join(f"{_asked(kind, shot)}{answers(kind, shot)[shot.gold]}\n\n" for shot in shots)
    return head + examples + _asked(kind, question)


def answers(kind: Kind, question: Question) -> list[str]:
    """What may follow, in the order of the choices."""
    if kind == "letters":
        return list(LETTERS)
    return [f" {choice}" for choice in question.choices]


def thinking(asked: str) -> str:
    """The text after which the model thinks."""
    return asked + _THINK


def concluding(asked: str, thoughts: str) -> str:
    """The text before the answer of a model that has thought."""
    return thinking(asked) + thoughts.strip() + _CONCLUDE


def _asked(kind: Kind, question: Question) -> str:
    if kind == "last_word":
        return question.text
    if kind == "choices":
        return f"{question.text.rstrip()}\nAnswer:"
    lines = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, question.choices, strict=True)]
    return "\n".join([question.text.strip(), *lines, "答案："])
