"""Trainings that were stopped, continued and forged."""

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_runs import train

from pretrain.config import load_config
from pretrain.metrics import Record
from pretrain.order.loader import Loader
from pretrain.order.plan import hash_of, make_plan
from pretrain.order.plan_file import read_arrays, write_arrays
from pretrain.state import TrainState, read_state, write_state
from pretrain.train import train_model
from pretrain.verify_run import verify_run
from shards.errors import Interrupted, UserError

STEPS = 12


@pytest.fixture
def model(train_file: Callable[..., Path], tmp_path: Path, tokens: Path) -> Path:
    """A training that was stopped and resumed, and then continued with other weights."""

    def stop(record: Record) -> None:
        if record["step"] == 3 and "loss" in record:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        train(train_file(steps=6), stop)
    train(train_file(steps=6))
    sources = {name: {"tokens": str(tokens / name)} for name in ("en", "ru")}
    path = train_file(steps=STEPS, source=sources)
    train_model(path, overrides={}, progress=lambda record: None, continued=True)
    return tmp_path / "out"


def problems(model: Path) -> list[str]:
    found = verify_run(model).problems
    assert all("\n" not in problem for problem in found)
    return found


def edit_state(model: Path, step: int, **changes: Any) -> None:
    checkpoint = model / "checkpoints" / f"step-{step:08d}"
    write_state(checkpoint, TrainState.parse(read_state(checkpoint).model_dump() | changes, ""))


def edit_records(model: Path, edit: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    path = model / "metrics.jsonl"
    records = edit([json.loads(line) for line in path.read_text().splitlines()])
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_a_training_that_was_stopped_resumed_and_continued_adds_up(model: Path) -> None:
    proof = verify_run(model)
    assert proof.problems == []
    assert (proof.steps, proof.continued_from, proof.num_unmarked) == (STEPS, 6, 0)
    plan = make_plan(load_config(model / "train.toml", {}))
    assert [use.num_used for use in proof.sources] == plan.mixture.counts(4 * STEPS).tolist()
    assert sum(use.num_used for use in proof.sources) == 4 * STEPS
    state = json.loads((model / "checkpoints" / f"step-{STEPS:08d}" / "state.json").read_text())
    assert sum(use.num_tokens for use in proof.sources) == proof.tokens == state["tokens"]
    shutil.move(model, model.with_name("moved"))
    assert problems(model.with_name("moved")) == []


def test_a_continuation_that_was_killed_before_its_first_checkpoint_adds_up(
    train_file: Callable[..., Path], tmp_path: Path, tokens: Path
) -> None:
    train(train_file(steps=6))
    sources = {"en": {"tokens": str(tokens / "en")}, "ru": {"tokens": str(tokens / "ru"), "weight": 3.0}}
    path = train_file(steps=STEPS, source=sources, checkpoint={"every": 100})

    def die(record: Record) -> None:
        if record["step"] == 8 and "loss" in record:
            raise KeyError("as a kill")

    with pytest.raises(KeyError):
        train_model(path, overrides={}, progress=die, continued=True)
    proof = verify_run(tmp_path / "out")
    assert (proof.problems, proof.steps) == ([], 8)
    assert proof.pending == ["source.en.weight", "source.ru.weight", "steps"]


def test_what_was_forged_is_named(model: Path, tmp_path: Path) -> None:
    def forged(forge: Callable[[Path], None]) -> list[str]:
        shutil.rmtree(tmp_path / "forged", ignore_errors=True)
        shutil.copytree(model, tmp_path / "forged")
        forge(tmp_path / "forged")
        found = problems(tmp_path / "forged")
        assert found
        return found

    def swap_rows(folder: Path) -> None:  # of equal lengths in a row, so that no count changes; the checksum is renewed
        info, arrays = read_arrays(folder / "plan.bin")
        length, position = arrays["rows.length"], arrays["rows.position"]
        first, second = np.flatnonzero(length == length.max())[:2]
        position[[first, second]] = position[[second, first]]
        write_arrays(folder / "plan.bin", info, arrays)

    (problem,) = forged(swap_rows)
    assert "plan.bin: row " in problem
    assert "of source en is not that of the token folder" in problem
    (problem,) = forged(lambda folder: (folder / "plan.bin").unlink())
    assert "plan.bin: cannot be read" in problem

    def other(key: str, value: object) -> Callable[[Path], None]:
        return lambda folder: edit_records(
            folder, lambda records: [r | {key: value} if r["step"] == 5 else r for r in records]
        )

    (problem,) = forged(other("batch_xxh3", "0" * 16))
    assert "metrics.jsonl: step 5: was trained on other rows than the plan has: checksum 0000" in problem
    (problem,) = forged(other("tokens", 7))
    assert "metrics.jsonl: step 5: 7 tokens so far, by the plan " in problem
    (problem,) = forged(other("loss_by_source", {"zh": 1.0}))
    assert "metrics.jsonl: step 5: has losses of zh, by the plan of " in problem
    (problem,) = forged(lambda folder: edit_records(folder, lambda records: records[:4] + records[5:]))
    assert "metrics.jsonl: step 5 has 0 records, expected 1" in problem
    (problem,) = forged(lambda folder: edit_records(folder, lambda records: [*records, records[4]]))
    assert "metrics.jsonl: step 5 has 2 records, expected 1" in problem

    state = json.loads((model / "checkpoints" / f"step-{STEPS:08d}" / "state.json").read_text())
    (problem,) = forged(lambda folder: edit_state(folder, STEPS, tokens=5))
    assert "step-00000012/state.json: 5 tokens, the plan's steps have " in problem
    phases = [[0, {"en": 0.5, "ru": 0.5}], *state["phases"][1:]]
    assert (
        "plan_hash is not that of its identity, phases and left_out"
        in forged(lambda folder: edit_state(folder, STEPS, phases=phases))[0]
    )
    renewed = hash_of(state["identity"], tuple((first, weights) for first, weights in phases))
    found = forged(lambda folder: edit_state(folder, STEPS, phases=phases, plan_hash=renewed))
    assert any("step 1: was trained on other rows" in problem for problem in found)
    renewed = hash_of(state["identity"], state["phases"], ((4, 8),))
    found = forged(lambda folder: edit_state(folder, STEPS, left_out=((4, 8),), plan_hash=renewed))
    assert any("step 2: was trained on other rows" in problem for problem in found)
    assert any("leaves other rows out than step 12" in problem for problem in found)
    phases = [*state["phases"], [40, {"en": 0.5, "ru": 0.5}]]
    renewed = hash_of(state["identity"], tuple((first, weights) for first, weights in phases))
    found = forged(lambda folder: edit_state(folder, STEPS, phases=phases, plan_hash=renewed))
    assert "the weights from step 11 on, en 0.5, ru 0.5, are not those of train.toml" in found[0]

    def change_weights(folder: Path) -> None:
        path = folder / "checkpoints" / f"step-{STEPS:08d}" / "model-00000.safetensors"
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)

    (problem,) = forged(change_weights)
    assert "step-00000012/model-00000.safetensors: is not as state.json says" in problem
    settings = (model / "train.toml").read_text()
    assert "seed = 0" in settings
    (problem,) = forged(
        lambda folder: folder.joinpath("train.toml").write_text(settings.replace("seed = 0", "seed = 1")) and None
    )
    assert "train.toml: is not what the checkpoint of step 12 was trained by; they differ in seed" in problem


def test_the_checksum_of_a_step_is_the_sum_over_the_ranks_of_any_world(train_file: Callable[..., Path]) -> None:
    plan = make_plan(load_config(train_file(batch_size=24), {}))
    whole = Loader(plan).batch(3).checksum()
    for world in (2, 3, 8):
        parts = [Loader(plan, rank, world).batch(3).checksum() for rank in range(world)]
        assert sum(parts) % (1 << 64) == whole
    assert Loader(plan).batch(4).checksum() != whole


def test_a_folder_without_a_checkpoint_is_refused(train_file: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match=r"out: has no checkpoint that can be read; a training is verified from its"):
        verify_run(train_file())
