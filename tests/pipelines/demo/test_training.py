"""The demo's training folder, and the check that the model has learned."""

from pathlib import Path

import pytest

from pipelines.demo.training import prepare_folder, show_bits_per_byte
from pipelines.run.opening import Run
from shards.errors import RunError


class OfDigest(Run):
    """A run without a recipe or inputs."""

    def __init__(self, digest: str) -> None:
        self.fingerprint = {"digest": digest}


def test_the_folder_is_emptied_for_another_run_only(tmp_path: Path) -> None:
    folder = prepare_folder(tmp_path / "training", OfDigest("a" * 64))
    (folder / "tokenizer.json").write_text("{}")
    prepare_folder(folder, OfDigest("a" * 64))
    assert (folder / "tokenizer.json").exists()
    prepare_folder(folder, OfDigest("b" * 64))
    assert [path.name for path in folder.iterdir()] == ["train.toml"]


def test_a_model_that_learned_nothing_is_an_error() -> None:
    lines: list[str] = []
    show_bits_per_byte({"web": 5.0, "libraries": 5.0}, {"web": 3.0, "libraries": 3.0}, lines.append)
    assert lines[-1].split() == ["libraries", "5.000", "3.000"]
    with pytest.raises(RunError, match="did not fall for libraries"):
        show_bits_per_byte({"web": 5.0, "libraries": 5.0}, {"web": 3.0, "libraries": 5.0}, lines.append)
