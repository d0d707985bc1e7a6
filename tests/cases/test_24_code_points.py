"""Texts that a reader cannot tell apart are duplicates, and contaminated, in whatever code points they are written."""

import json
from pathlib import Path

import pytest
from case_run import copy_case, run_case


def test_one_of_each_pair_that_looks_the_same_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("24", tmp_path))
    run = run_case(tmp_path)
    assert run.dropped() == {"dedup.near": 8}
    assert sorted(row["source"] for row in run.rows()) == sorted({row["source"] for row in run.rows()})
    given = [
        json.loads(line).get("text") for file in Path("in").glob("*.jsonl") for line in file.open(encoding="utf-8")
    ]
    assert all(row["text"] in given for row in run.rows())  # texts stay as they are


def test_a_decomposed_quiz_item_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("24", tmp_path))
    run = run_case(tmp_path, recipe="recipe-decontaminate.toml")
    assert run.dropped() == {"decontaminate.contaminated": 2}
