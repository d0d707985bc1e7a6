"""Recipes, how-tos and questions in JSON-LD are whole."""

from pathlib import Path

import pytest
from case_run import copy_case, run_case


def test_recipes_have_steps_and_answers_have_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("19", tmp_path))
    texts = {url.rsplit("/", 1)[1]: text.split("\n") for url, text in run_case(tmp_path).texts().items()}
    assert texts["recipe"][:4] == ["Bread", "500 g flour", "350 ml water", "10 g salt"]
    assert [line.split()[0] for line in texts["recipe"][4:]] == ["Mix", "Fold", "Bake"]
    assert [line.split()[0] for line in texts["howto"]] == ["How", "Before", "Stop", "Brush"]
    assert texts["faq"][::2] == ["When is the pool open?", "Who pays for the roof?"]
    assert [line.split()[1] for line in texts["faq"][1::2]] == ["council", "money"]
