"""Files of questions, recognised by their columns.

    query, choices, gold                  JSON lines   choices, one of which continues the query best (ARC, PIQA)
    context, continuation                 JSON lines   the last word of a passage (LAMBADA)
    Question, A, B, C, D, Answer          CSV          letters (CMMLU, C-Eval); also question, …, answer as JSON lines

CSV files come one a subject, alone, in a folder or in a .tar.gz. Where there are a folder `dev` and a folder `test`,
the questions of `test` are asked and those of `dev` are the examples.
"""

import csv
import gzip
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, Literal

from shards.errors import UserError
from shards.limits import check_limits

LETTERS = ("A", "B", "C", "D")
Kind = Literal["choices", "letters", "last_word"]


@dataclass(frozen=True)
class Question:
    subject: str
    text: str
    choices: tuple[str, ...]  # the last word alone where that is asked for
    gold: int  # the choice that is right


@dataclass(frozen=True)
class Task:
    """The questions of a file."""

    name: str
    kind: Kind
    questions: tuple[Question, ...]
    examples: tuple[Question, ...]  # of their own; empty: the other questions of the subject

    def part(self, count: int | None) -> "Task":
        """The task with at most `count` of its questions, spread evenly over it, and the same examples."""
        if count is None or count >= len(self.questions):
            return self
        every = len(self.questions) / count
        chosen = tuple(self.questions[int(number * every)] for number in range(count))
        return replace(self, questions=chosen, examples=self.examples or self.questions)

    def shots(self, number: int, count: int) -> list[Question]:
        """The first `count` examples of the subject of a question, that question not among them."""
        asked = self.questions[number]
        pool = [q for q in self.examples or self.questions if q.subject == asked.subject and q is not asked]
        return pool[:count]


def read_task(path: Path) -> Task:
    """The task in a file or folder. UserError, with file and line, for what is no task and for a missing answer."""
    try:
        parts = list(_parts(path))
    except (OSError, EOFError, tarfile.TarError) as error:
        check_limits(path, error)
        raise UserError(f"{path}: cannot be read ({error})") from None
    by_split: dict[str, list[Question]] = {}
    kinds: set[Kind] = set()
    for name, data in parts:
        rows = _csv_rows(name, data) if name.endswith(".csv") else _json_rows(name, data)
        for where, row in rows:
            kind, question = _question(row, PurePath(name).name.split(".")[0], where)
            kinds.add(kind)
            by_split.setdefault(PurePath(name).parent.name, []).append(question)
    if len(kinds) != 1:
        found = f"several kinds of questions ({', '.join(sorted(kinds))})" if kinds else "no questions"
        raise UserError(f"{path}: holds {found}; name a file of JSON lines, a CSV, or a folder or .tar.gz of CSVs")
    examples = by_split.pop("dev", []) if "test" in by_split else []
    questions = tuple(question for of_split in by_split.values() for question in of_split)
    return Task(path.resolve().name.split(".")[0], kinds.pop(), questions, tuple(examples))


def _parts(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, contents) of each file."""
    if path.is_dir():
        for csv_file in sorted(path.rglob("*.csv")):
            yield str(csv_file), csv_file.read_bytes()
    elif path.name.endswith((".tar.gz", ".tgz", ".tar")):
        with tarfile.open(path) as archive:
            for member in sorted(archive.getmembers(), key=lambda one: one.name):
                file = archive.extractfile(member) if member.name.endswith(".csv") else None
                if file is not None:
                    yield f"{path}/{member.name}", file.read()
    elif path.suffix == ".gz":
        yield str(path.with_suffix("")), gzip.decompress(path.read_bytes())
    else:
        yield str(path), path.read_bytes()


def _csv_rows(name: str, data: bytes) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        for number, row in enumerate(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))), 2):
            yield f"{name}: line {number}", row
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{name}: no CSV in UTF-8 ({error})") from None


def _json_rows(name: str, data: bytes) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(data.splitlines(), 1):
        where = f"{name}: line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{where}: not JSON ({error})") from None
        if not isinstance(row, dict):
            raise UserError(f"{where}: expected a JSON object")
        yield where, row


def _question(row: Mapping[str, Any], subject: str, where: str) -> tuple[Kind, Question]:
    lower = {key.lower(): value for key, value in row.items() if key}
    kind: Kind
    text: Any
    choices: Any
    answer: Any
    if "context" in lower:
        kind, text, choices, answer = "last_word", lower["context"], [lower.get("continuation")], 0
    elif "choices" in lower:
        kind, text, choices, answer = "choices", lower.get("query"), lower["choices"], lower.get("gold")
    elif "a" in lower:
        kind, text, choices = "letters", lower.get("question"), [lower.get(letter.lower()) for letter in LETTERS]
        letter = lower.get("answer")
        answer = LETTERS.index(letter) if letter in LETTERS else None
    else:
        raise UserError(
            f"{where}: has neither query and choices, nor context, nor Question, A, B, C and D, but {', '.join(row)}"
        )
    is_text = isinstance(text, str) and isinstance(choices, list) and all(isinstance(c, str) and c for c in choices)
    if type(answer) is not int or not is_text or not 0 <= answer < len(choices):
        column = {"choices": "gold", "letters": "answer", "last_word": "continuation"}[kind]
        raise UserError(f"{where}: has no answer that is one of its choices ({column}); leave the line out")
    return kind, Question(str(lower.get("subject", subject)), text, tuple(choices), answer)
