"""Files of questions, and those that are none."""

import gzip
import os
import tarfile
from pathlib import Path

import pytest

from pretrain.tasks.questions import Question, read_task
from shards.errors import UserError

CSV = ",Question,A,B,C,D,Answer\n0,谁磨面,风,水,磨坊,驴,C\n1,一加一,一,二,三,四,B\n"
CHOICES = '{"query": "Question: What grinds?", "choices": ["a mill", "a hill"], "gold": 0}\n'
WORD = '{"context": "The mill grinds the", "continuation": "grain"}\n'


def test_each_kind_is_known_by_its_columns(tmp_path: Path) -> None:
    (tmp_path / "arc.jsonl").write_text(CHOICES)
    (tmp_path / "lambada.jsonl.gz").write_bytes(gzip.compress(WORD.encode()))
    (tmp_path / "mills.csv").write_text(CSV)
    arc, lambada, mills = (read_task(tmp_path / name) for name in ("arc.jsonl", "lambada.jsonl.gz", "mills.csv"))
    assert [task.kind for task in (arc, lambada, mills)] == ["choices", "last_word", "letters"]
    assert [task.name for task in (arc, lambada, mills)] == ["arc", "lambada", "mills"]
    assert arc.questions == (Question("arc", "Question: What grinds?", ("a mill", "a hill"), 0),)
    assert lambada.questions == (Question("lambada", "The mill grinds the", ("grain",), 0),)
    assert [q.gold for q in mills.questions] == [2, 1]
    assert mills.questions[0].choices == ("风", "水", "磨坊", "驴")


def test_the_other_questions_of_a_subject_are_its_examples(tmp_path: Path) -> None:
    for subject in ("mills", "bread"):
        (tmp_path / f"{subject}.csv").write_text(CSV)
    task = read_task(tmp_path)
    assert [q.subject for q in task.questions] == ["bread", "bread", "mills", "mills"]
    assert task.shots(2, 5) == [task.questions[3]]
    assert task.shots(3, 0) == []


def test_dev_has_the_examples_where_there_is_a_test(tmp_path: Path) -> None:
    for split in ("dev", "test"):
        (tmp_path / "set" / split).mkdir(parents=True)
        (tmp_path / "set" / split / "mills.csv").write_text(CSV.replace("谁", split))
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "set", "set")
    for path in (tmp_path / "set", tmp_path / "set.tar.gz"):
        task = read_task(path)
        assert [q.text for q in task.questions] == ["test磨面", "一加一"]
        assert [q.text for q in task.shots(0, 5)] == ["dev磨面", "一加一"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"query": "q", "choices": ["a", "b"]}\n', r"line 1: has no answer that is one of its choices \(gold\)"),
        (CHOICES + '{"query": "q", "choices": ["a"], "gold": 1}\n', "line 2: has no answer"),
        ('{"context": "q"}\n', r"line 1: has no answer .*\(continuation\)"),
        ('{"question": "q", "A": "1", "B": "2", "C": "3", "D": "4", "answer": "E"}\n', r"no answer .*\(answer\)"),
        ('{"prompt": "q"}\n', "line 1: has neither query and choices, .* but prompt"),
        ("no json\n", "line 1: not JSON"),
        ("", "holds no questions"),
        (CHOICES + WORD, r"several kinds of questions \(choices, last_word\)"),
    ],
)
def test_what_is_no_task_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.jsonl").write_text(text)
    with pytest.raises(UserError, match=message):
        read_task(tmp_path / "bad.jsonl")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_task(tmp_path / "none.jsonl")


@pytest.mark.real
@pytest.mark.skipif("GRISTMILL_REAL_DATA" not in os.environ, reason="needs GRISTMILL_REAL_DATA")
def test_published_tasks_are_read() -> None:
    folder = Path(os.environ["GRISTMILL_REAL_DATA"]) / "eval"
    cmmlu = read_task(folder / "cmmlu-dev.tar.gz")
    assert (cmmlu.kind, len(cmmlu.questions), len({q.subject for q in cmmlu.questions})) == ("letters", 335, 67)
    assert {len(cmmlu.shots(number, 5)) for number in range(335)} == {4}
    for name, kind, count in (
        ("arc_easy", "choices", 2376),
        ("piqa", "choices", 1838),
        ("lambada_openai", "last_word", 5153),
    ):
        task = read_task(folder / "en" / f"{name}.jsonl.gz")
        assert (task.kind, len(task.questions)) == (kind, count)
