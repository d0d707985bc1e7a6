import json
import math
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pretrain.config import load_config
from pretrain.evaluate import bits_per_byte, choose_held_out
from pretrain.metrics import MetricsFile
from pretrain.order.plan import held_out_documents, make_plan
from pretrain.train import TrainSummary, train
from shards.errors import Interrupted, RunError, UserError
from shards.lock import locked

Record = dict[str, Any]


def run(path: Path, progress: Callable[[Record], None] = lambda record: None, **overrides: str) -> TrainSummary:
    return train(path, overrides=overrides, progress=progress)


def curve(out: Path) -> list[tuple[int, float, int, dict[str, float]]]:
    """What must not depend on kills; speeds do."""
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [(r["step"], r["loss"], r["tokens"], r["loss_by_source"]) for r in records]


def measured(out: Path) -> list[Record]:
    return [json.loads(line) for line in (out / "held_out.jsonl").read_text().splitlines()]


@pytest.fixture
def undisturbed(train_file: Callable[..., Path], tmp_path: Path) -> Path:
    run(train_file(out="undisturbed"))
    return tmp_path / "undisturbed"


def test_a_run_writes_a_line_a_step_and_learns(train_file: Callable[..., Path], tmp_path: Path) -> None:
    summary = run(train_file(steps=40, eval_every=20))
    steps = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in steps] == list(range(1, 41))
    assert all({"step", "loss", "tokens", "tokens_per_s", "loss_by_source"} <= record.keys() for record in steps)
    assert {name for record in steps for name in record["loss_by_source"]} == {"en", "ru"}
    assert steps[-1]["tokens"] == summary.tokens > 40 * 4 * 64 * 0.9
    assert steps[0]["loss"] == pytest.approx(math.log(320), abs=0.3)
    assert summary.loss == steps[-1]["loss"] < steps[0]["loss"] - 1.5
    assert [record["step"] for record in measured(tmp_path / "out")] == [0, 20, 40]
    for name in ("en", "ru"):
        assert summary.held_out_after[name] < 0.7 * summary.held_out_before[name]
    assert sorted(p.name for p in (tmp_path / "out" / "checkpoints").iterdir()) == ["step-00000036", "step-00000040"]


def test_a_stopped_and_resumed_run_has_the_same_losses_bit_for_bit(
    train_file: Callable[..., Path], tmp_path: Path, undisturbed: Path
) -> None:
    def stop(record: Record) -> None:
        if record["step"] == 6 and "loss" in record:
            signal.raise_signal(signal.SIGINT)

    path, handler = train_file(), signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match=r"stopped after step 6 of 12.*gristmill pretrain"):
        run(path, stop)
    assert [step for step, *_ in curve(tmp_path / "out")] == [1, 2, 3, 4, 5, 6]
    run(path)
    assert curve(tmp_path / "out") == curve(undisturbed)
    assert measured(tmp_path / "out") == measured(undisturbed)
    assert signal.getsignal(signal.SIGINT) is handler


KILLED_RUN = """
import os, signal, sys
from pathlib import Path
import pretrain.checkpoint as checkpoint
from pretrain.train import train

path, where, when = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def kill(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
def progress(record):
    if record["step"] == when and "loss" in record:
        if where == "step":
            kill()
        setattr(checkpoint, where, kill)
        if where == "shutil":
            checkpoint.shutil = type("dead", (), {"rmtree": kill})
train(path, overrides={}, progress=progress)
"""


@pytest.mark.parametrize(
    ("where", "when", "left"),
    [
        ("step", 7, 4),  # between checkpoints
        ("write_json", 8, 4),  # all of the checkpoint but what makes it one
        pytest.param("write_bytes", 8, 4, marks=pytest.mark.slow),  # before the weights
        pytest.param("atomic_file", 8, 4, marks=pytest.mark.slow),  # before the optimizer state
        pytest.param("shutil", 12, 12, marks=pytest.mark.slow),  # while the oldest checkpoint is deleted
    ],
)
def test_a_killed_run_goes_on_from_a_whole_checkpoint(
    train_file: Callable[..., Path], tmp_path: Path, undisturbed: Path, where: str, when: int, left: int
) -> None:
    path = train_file(out="killed")
    killed = subprocess.run([sys.executable, "-c", KILLED_RUN, str(path), where, str(when)], check=False)
    assert killed.returncode == -signal.SIGKILL
    steps: list[int] = []
    run(path, lambda record: steps.append(record["step"]))
    assert steps[:1] == ([left + 1] if left < 12 else [])
    assert curve(tmp_path / "killed") == curve(undisturbed)
    assert measured(tmp_path / "killed") == measured(undisturbed)


def test_a_finished_run_is_not_trained_again(train_file: Callable[..., Path], undisturbed: Path) -> None:
    records: list[Record] = []
    again = run(train_file(out="undisturbed"), records.append)
    assert not records
    assert (again.steps, again.loss) == (12, curve(undisturbed)[-1][1])


def test_a_resume_with_other_settings_is_refused_by_name(
    train_file: Callable[..., Path], undisturbed: Path, tokens: Path
) -> None:
    sources = {"en": {"tokens": str(tokens / "ru")}, "ru": {"tokens": str(tokens / "ru"), "weight": 0.25}}
    path = train_file(out="undisturbed", source=sources, seed=3)
    with pytest.raises(UserError, match=r"differ in seed, source\.en\.tokens, source\.en\.weight;") as error:
        run(path)
    assert "\n" not in str(error.value)


def test_a_resume_may_change_what_leaves_the_curve_alone(train_file: Callable[..., Path], undisturbed: Path) -> None:
    run(train_file(out="undisturbed"), micro_batch_size="2", keep_checkpoints="1", device="cpu")


def test_micro_batches_give_the_same_curve(train_file: Callable[..., Path], tmp_path: Path, undisturbed: Path) -> None:
    run(train_file(), micro_batch_size="1")
    for ours, whole in zip(curve(tmp_path / "out"), curve(undisturbed), strict=True):
        assert ours[1] == pytest.approx(whole[1], abs=1e-4)


def test_a_plan_of_too_many_epochs_is_refused_before_anything_is_written(
    train_file: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"source en: the plan needs \d+\.\d epochs .* max_epochs = 4"):
        run(train_file(steps=5000))
    assert not (tmp_path / "out").exists()


def test_a_loss_that_is_not_finite_stops_the_run_and_spares_the_checkpoints(
    train_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poison(record: Record) -> None:
        if record["step"] == 5:
            monkeypatch.setattr("pretrain.train.token_losses", lambda hidden, head, labels: hidden.sum(-1) * math.nan)

    with pytest.raises(RunError, match="step 6: the loss is nan"):
        run(train_file(), poison)
    assert [step for step, *_ in curve(tmp_path / "out")] == [1, 2, 3, 4, 5]


def test_two_processes_do_not_train_in_one_folder(train_file: Callable[..., Path], tmp_path: Path) -> None:
    with locked(tmp_path / "out"), pytest.raises(UserError, match=r"another gristmill works .* choose another out$"):
        run(train_file())
    assert not (tmp_path / "out" / "metrics.jsonl").exists()


def test_a_file_where_the_folder_should_be_is_refused(train_file: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    for out in ("out", "out/inner"):
        with pytest.raises(UserError, match=r"cannot be written: .*; choose a folder"):
            run(train_file(out=out))


def test_a_damaged_token_shard_is_not_trained_on(train_file: Callable[..., Path], tmp_path: Path, tokens: Path) -> None:
    shutil.copytree(tokens / "en", tmp_path / "en")
    shard = next((tmp_path / "en" / "train").glob("*.arrow"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = b"\x07" * 400
    shard.write_bytes(data)
    with pytest.raises(RunError, match=rf"{shard.name}: its sha256 is not the one in manifest\.json; run the same"):
        run(train_file(source={"en": {"tokens": str(tmp_path / "en")}}))
    assert not (tmp_path / "out").exists()


def test_a_mask_that_does_not_fit_in_memory_is_refused(train_file: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match=r"sequence_length 100,000: on CPU 4 rows .* mask of 40\.0 GB"):
        run(train_file(sequence_length=100_000), device="cpu")


def stopped_at_8(path: Path, out: Path) -> Path:
    """A run with checkpoints of steps 4 and 8 that was killed; the newest checkpoint."""

    def fail(record: Record) -> None:
        if record["step"] == 9:
            raise KeyError("killed")

    with pytest.raises(KeyError):
        run(path, fail)
    return out / "checkpoints" / "step-00000008"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garble(path: Path) -> None:
    path.write_bytes(b"[1]")


@pytest.mark.parametrize("damage", [cut, garble, Path.unlink])
@pytest.mark.parametrize("name", ["state.json", "model.safetensors", "training.pt"])
def test_a_checkpoint_that_does_not_load_is_passed_over_for_the_one_before(
    train_file: Callable[..., Path],
    tmp_path: Path,
    undisturbed: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    damage: Callable[[Path], None],
) -> None:
    path, out = train_file(), tmp_path / "out"
    damage(stopped_at_8(path, out) / name)
    steps: list[int] = []
    run(path, lambda record: steps.append(record["step"]))
    assert steps[0] == 5
    assert (name in caplog.text) == ((name, damage) != ("state.json", Path.unlink))  # that one is no checkpoint
    assert curve(out) == curve(undisturbed)
    assert measured(out) == measured(undisturbed)
    assert sorted(p.name for p in (out / "checkpoints").iterdir()) == ["step-00000008", "step-00000012"]


def test_what_is_saved_after_a_damaged_checkpoint_stays(train_file: Callable[..., Path], tmp_path: Path) -> None:
    def stop(record: Record) -> None:
        if record["step"] == 6 and "loss" in record:
            signal.raise_signal(signal.SIGINT)

    path, out = train_file(), tmp_path / "out"
    cut(stopped_at_8(path, out) / "training.pt")
    with pytest.raises(Interrupted):
        train(path, overrides={"keep_checkpoints": "1"}, progress=stop)
    assert [p.name for p in (out / "checkpoints").iterdir()] == ["step-00000006"]


def test_where_no_checkpoint_loads_nothing_is_trained_over_them(
    train_file: Callable[..., Path], tmp_path: Path
) -> None:
    path, out = train_file(), tmp_path / "out"
    stopped_at_8(path, out)
    for checkpoint in (out / "checkpoints").iterdir():
        cut(checkpoint / "model.safetensors")
    with pytest.raises(
        RunError, match=r"none of its 2 checkpoints loads; .*step-00000008.*; restore .*or delete"
    ) as error:
        run(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["metrics.jsonl", "held_out.jsonl"])
@pytest.mark.parametrize("content", [None, b"[1]\n", b"\xff\xfe\x00\n{}\n3\n", b'{"step": 12}\n'])
def test_a_finished_run_tells_its_results_without_its_records(
    train_file: Callable[..., Path], undisturbed: Path, name: str, content: bytes | None
) -> None:
    before = run(train_file(out="undisturbed"))
    assert before.held_out_before.keys() == before.held_out_after.keys() == {"en", "ru"}
    (undisturbed / name).unlink() if content is None else (undisturbed / name).write_bytes(content)
    assert run(train_file(out="undisturbed")) == before


def test_cuda_is_refused_where_there_is_none(train_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="torch sees no CUDA device"):
        run(train_file(), device="cuda")


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    with MetricsFile(path, last_step=2) as metrics:
        metrics.append({"step": 3, "loss": 1.5})
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n{"step": 3, "loss": 1.5}\n'


def test_bits_per_byte_of_a_model_that_knows_nothing_follow_from_counting(train_file: Callable[..., Path]) -> None:
    """All tokens equally likely: log2(vocabulary) bits a token, whatever the packing does to the documents."""
    from pretrain.model import Model

    config = load_config(train_file(), {})
    plan = make_plan(config)
    model = Model(config.model, plan.vocab_size)
    torch.nn.init.zeros_(model.embed_tokens.weight)
    for name, documents in held_out_documents(plan).items():
        assert (documents.num_tokens - 1 > config.sequence_length).any(), "no document is split"
        held_out = choose_held_out(name, documents, config.sequence_length, max_tokens=10**9)
        expected = math.log2(plan.vocab_size) * (documents.num_tokens - 1).sum() / documents.num_bytes.sum()
        for num_rows in (1, 5):
            assert bits_per_byte(model, [held_out], num_rows)[name] == pytest.approx(expected, rel=1e-6)
        part = choose_held_out(name, documents, config.sequence_length, max_tokens=300)
        assert 0 < part.num_bytes < held_out.num_bytes
