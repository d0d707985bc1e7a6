"""The summary reads what is there, says what is missing, and writes nothing."""

from pathlib import Path

import pytest
from training_folder import START, make_training, write_lines

from pipelines.report.training.summary import settings_of, summarize
from shards.errors import UserError
from shards.lock import locked


def test_a_training_whose_tokens_are_elsewhere_has_its_curves_and_says_what_is_missing(tmp_path: Path) -> None:
    folder = make_training(tmp_path / "m")
    before = sorted(folder.rglob("*"))
    summary = summarize(folder)
    assert (summary.name, summary.step, summary.tokens, summary.is_finished) == ("m", 300, 300_000, False)
    assert summary.seconds_left == pytest.approx(50)
    assert len(summary.missing) == 1
    assert "gone" in summary.missing[0]
    assert (summary.epochs, summary.vocab_size) == ([], None)
    assert settings_of(folder)["model.width"] == 32
    assert sorted(folder.rglob("*")) == before


def test_a_training_runs_while_a_process_holds_its_lock(tmp_path: Path) -> None:
    folder = make_training(tmp_path / "m")
    assert not summarize(folder).is_running
    with locked(folder):
        assert summarize(folder).is_running
    assert not summarize(folder).is_running


def test_spikes_are_files_by_step_with_the_worst_document_first(tmp_path: Path) -> None:
    folder = make_training(tmp_path / "m")
    documents = [{"url": f"https://a.example/{i}", "loss": 9.0 - i, "mean_loss_of_step": 4.5} for i in range(2)]
    write_lines(folder / "spikes" / "step-00000200-2.jsonl", documents[:1])
    write_lines(folder / "spikes" / "step-00000200.jsonl", documents)
    write_lines(folder / "spikes" / "step-00000100.jsonl", [])
    first, second, third = summarize(folder).spikes
    assert [spike.step for spike in (first, second, third)] == [100, 200, 200]
    assert (first.documents, first.mean_loss) == ([], None)
    assert sorted([second.documents, third.documents], key=len) == [documents[:1], documents]
    assert second.mean_loss == 4.5


def test_the_plan_before_the_first_checkpoint_is_that_of_the_last_start(tmp_path: Path) -> None:
    folder = make_training(tmp_path / "m")
    write_lines(folder / "starts.jsonl", [START, START | {"plan": "cd" * 32}])
    assert summarize(folder).plan_hash == "cd" * 32


def test_a_folder_that_is_no_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no training: has no train\.toml"):
        summarize(tmp_path)
