"""Evaluation of models on disk: against the loop's own figures, and item by item against lm_eval (`make test-hf`)."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from command import gristmill
from corpus import make_texts, write_shard
from hf_environment import hf, with_hf
from training_runs import evaluations

from pretrain.evaluate_model import evaluate_model
from pretrain.export_model import export_model
from pretrain.text_bits import Group
from pretrain.tokenizing.text_shards import find_shards
from shards.errors import UserError

CHOICES = [
    {"query": "Question: What grinds?\n", "choices": ["a mill", "the slow hill"], "gold": 0},
    {"query": "Question: What becomes flour?\n", "choices": ["wheat", "bread", "every grain of wheat"], "gold": 2},
]
LETTERS = ",Question,A,B,C,D,Answer\n0,谁磨面,风,水,磨坊,驴,C\n1,一加一,一,二,三,四,B\n2,зерно,1,2,3,4,A\n"


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def test_held_out_documents_have_the_bits_that_training_measured(trained: Path, tmp_path: Path) -> None:
    expected = evaluations(trained)[-1]["held_out_bits_per_byte"]
    found = evaluate_model(trained, max_tokens=1000).texts
    assert {group.source: sums.bits_per_byte for group, sums in found.items()} == pytest.approx(expected, rel=1e-5)
    export_model(trained, tmp_path / "hf")
    with pytest.raises(UserError, match="give --task or --texts"):
        evaluate_model(tmp_path / "hf")


def test_texts_are_held_out_as_tokenize_holds_them_out(trained: Path, run_folder: Path) -> None:
    of_tokens = evaluate_model(trained).texts
    of_texts = evaluate_model(trained, texts=[run_folder], fraction=0.1).texts
    assert of_texts.keys() == of_tokens.keys()
    for group, sums in of_texts.items():
        assert (sums.documents, sums.bytes, sums.tokens) == (
            of_tokens[group].documents,
            of_tokens[group].bytes,
            of_tokens[group].tokens,
        )
        assert sums.nats == pytest.approx(of_tokens[group].nats)


def test_texts_are_told_apart_by_language_and_bucket(trained: Path, tmp_path: Path) -> None:
    languages, quality = pa.array(["en", None, "en", "de"]), pa.array([1, 1, 2, 2])
    write_shard(tmp_path / "web" / "w.arrow", make_texts("en", 4), language=languages, quality=quality)
    found = evaluate_model(trained, texts=[tmp_path / "web"], bucket="quality").texts
    assert list(found) == [
        Group("web", "", "1"),
        Group("web", "de", "2"),
        Group("web", "en", "1"),
        Group("web", "en", "2"),
    ]
    assert sum(sums.bytes for sums in found.values()) == sum(len(t.encode()) for t in make_texts("en", 4))
    whole = evaluate_model(trained, texts=[tmp_path / "web"]).texts
    assert sum(s.nats for s in whole.values()) == pytest.approx(sum(s.nats for s in found.values()))
    with pytest.raises(UserError, match="has no column gone"):
        evaluate_model(trained, texts=[tmp_path / "web"], bucket="gone")
    assert len(find_shards([tmp_path / "web"])) == 1


def test_thoughts_come_before_the_letter(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "mills.csv").write_text(LETTERS)
    evaluate_model(trained, tasks=[tmp_path / "mills.csv"], think_tokens=5, answers_to=tmp_path / "answers.jsonl")
    records = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [record["gold"] for record in records] == [2, 1, 0]
    assert all(record["thoughts"].strip() in record["prompt"] for record in records)


@pytest.mark.slow
def test_the_command_prints_figures_and_errors(trained: Path, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "mills.jsonl", CHOICES)
    done = gristmill("eval", trained, "--task", path, "--json", "--answers", tmp_path / "answers.jsonl")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tasks"]["mills"]["questions"] == 2
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 2
    write_lines(path, [{"query": "q", "choices": ["a"]}])
    refused = gristmill("eval", trained, "--task", path)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


CHOICES_TASK = """
task: choices
dataset_path: json
dataset_kwargs: {data_files: {test: %s}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{query.rstrip()}}\\nAnswer:"
doc_to_choice: choices
doc_to_target: gold
metric_list: [{metric: acc}, {metric: acc_norm}]
"""
LETTERS_TASK = """
task: letters
dataset_path: json
dataset_kwargs: {data_files: {test: %s}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{prompt}}"
doc_to_choice: answers
doc_to_target: gold
target_delimiter: ""
metric_list: [{metric: acc}]
"""
WORD_TASK = """
task: words
dataset_path: json
dataset_kwargs: {data_files: {test: %s}}
test_split: test
output_type: loglikelihood
doc_to_text: "{{context}}"
doc_to_target: "{{' ' + continuation}}"
metric_list: [{metric: perplexity}, {metric: acc}]
"""


def first_lines(path: Path, count: int) -> list[dict[str, Any]]:
    with gzip.open(path, "rt") as file:
        return [json.loads(line) for line, _ in zip(file, range(count), strict=False)]


@with_hf
@pytest.mark.slow
@pytest.mark.skipif("GRISTMILL_REAL_DATA" not in os.environ, reason="needs GRISTMILL_REAL_DATA")
def test_each_question_has_the_score_that_lm_eval_gives_it(trained: Path, tmp_path: Path) -> None:
    """On the first questions of ARC-easy, PIQA, LAMBADA and CMMLU's dev, many of them longer than the context."""
    folder = Path(os.environ["GRISTMILL_REAL_DATA"]) / "eval"
    tasks, ours = tmp_path / "tasks", tmp_path / "ours.jsonl"
    tasks.mkdir()
    choices = [row for name in ("arc_easy", "piqa") for row in first_lines(folder / "en" / f"{name}.jsonl.gz", 150)]
    choices = [row for row in choices if max(map(len, row["choices"])) < 64]  # as lm_eval reads no longer answers
    write_lines(tmp_path / "choices.jsonl", choices)
    write_lines(tmp_path / "words.jsonl", first_lines(folder / "en" / "lambada_openai.jsonl.gz", 40))
    letters = folder / "cmmlu-dev.tar.gz"
    export_model(trained, tmp_path / "hf", dtype="float32")
    paths = [tmp_path / "choices.jsonl", letters, tmp_path / "words.jsonl"]
    figures = evaluate_model(tmp_path / "hf", tasks=paths, answers_to=ours).tasks
    records = [json.loads(line) for line in ours.read_text().splitlines()]
    of_task = {
        name: [r for r in records if r["task"] == own]
        for name, own in (("choices", "choices"), ("letters", "cmmlu-dev"), ("words", "words"))
    }
    of_task["letters"] = of_task["letters"][:60]
    write_lines(tmp_path / "letters.jsonl", of_task["letters"])
    for name, text in (("choices", CHOICES_TASK), ("letters", LETTERS_TASK), ("words", WORD_TASK)):
        (tasks / f"{name}.yaml").write_text(text % (tmp_path / f"{name}.jsonl"))
    hf("score", tmp_path / "hf", tasks, tmp_path / "theirs.json")
    theirs = json.loads((tmp_path / "theirs.json").read_text())
    for name, own in of_task.items():
        assert len(theirs[name]) == len(own) > 30
        for sample in theirs[name]:
            record = own[sample["number"]]
            assert np.allclose(sample["log_p"], record["log_p"], atol=1e-3), (name, sample, record)
            assert sample["acc"] == record["right"]
            if name == "choices":
                assert sample["acc_norm"] == record["right_by_char"]
    accuracy = np.mean([sample["acc_norm"] for sample in theirs["choices"]])
    assert figures["choices"]["accuracy_by_char"] == pytest.approx(accuracy)
