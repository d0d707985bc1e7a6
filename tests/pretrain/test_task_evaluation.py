"""Tasks in the training loop."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from training_runs import evaluations, train

from pretrain.evaluate_model import evaluate_model
from pretrain.tasks.questions import read_task
from shards.errors import UserError


@pytest.fixture
def mills(tmp_path: Path) -> Path:
    path = tmp_path / "mills.jsonl"
    rows = [{"query": f"Question: {i}", "choices": ["a mill", "flour"], "gold": i % 2} for i in range(9)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_loop_records_what_the_verb_finds(train_file: Callable[..., Path], tmp_path: Path, mills: Path) -> None:
    train(train_file(steps=6, evaluate={"every": 3, "max_tokens": 1000, "tasks": [mills.name]}))
    records = evaluations(tmp_path / "out")
    assert [record["step"] for record in records] == [3, 6]
    assert records[-1]["tasks"] == {
        "mills": pytest.approx(evaluate_model(tmp_path / "out", tasks=[mills]).tasks["mills"])
    }


def test_a_part_of_the_questions_is_spread_over_the_task(mills: Path) -> None:
    part = read_task(mills).part(3)
    assert [q.text for q in part.questions] == ["Question: 0", "Question: 3", "Question: 6"]
    assert [q.text for q in part.shots(0, 2)] == ["Question: 1", "Question: 2"]
    assert read_task(mills).part(20) == read_task(mills)


def test_a_file_that_is_no_task_is_refused_before_the_first_step(
    train_file: Callable[..., Path], tmp_path: Path, mills: Path
) -> None:
    mills.write_text('{"query": "Question"}\n')
    with pytest.raises(UserError, match=r"mills\.jsonl: line 1"):
        train(train_file(evaluate={"tasks": ["mills.jsonl"]}))
    assert not (tmp_path / "out" / "metrics.jsonl").exists()
