"""Trainings on a document of noise."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import xxhash
from corpus import make_texts, write_shard
from training_runs import curve, train

from pretrain.after_spike import roll_back, with_spike
from pretrain.config import load_config
from pretrain.metrics import Record, read_records
from pretrain.order.plan import Plan, make_plan
from pretrain.order.trace import traced_segments
from pretrain.state import TrainState, newest_state, write_state
from pretrain.tokenizing.tokenize import tokenize_shards
from pretrain.verify_run import verify_run
from shards.errors import RunError


def test_the_rows_up_to_a_spike_are_left_out_of_the_plan(train_file: Callable[..., Path], tmp_path: Path) -> None:
    config = load_config(train_file(spikes={"left_out_steps": 2}), {})
    plan = make_plan(config)
    with pytest.raises(RunError, match=r"no checkpoint is left from before step 7; begin again in another out"):
        roll_back(plan, 7)
    checkpoints = tmp_path / "out" / "checkpoints"
    state = TrainState(step=4, tokens=1, plan_hash=plan.hash, identity=plan.identity, phases=plan.phases)
    for step in (4, 8):
        write_state(checkpoints / f"step-{step:08d}", state.model_copy(update={"step": step}))
    metrics = tmp_path / "out" / "metrics.jsonl"
    metrics.write_text("".join(f'{{"step": {step}}}\n' for step in range(1, 8)))
    assert roll_back(plan, 8) == 4
    assert [record["step"] for record in read_records(metrics)] == [1, 2, 3, 4]
    (checkpoints / "step-00000008" / "state.json").unlink()
    after = make_plan(config)
    assert after.left_out == ((24, 32),)
    newest = newest_state(checkpoints)
    assert newest is not None
    assert newest.plan_hash == after.hash != plan.hash
    for step, before in [(5, 5), (6, 8), (7, 9)]:  # steps 6 and 7, counted from 0, are those that are left out
        for ours, theirs in zip(after.rows_of_step(step), plan.rows_of_step(before), strict=True):
            assert (ours == theirs).all()


def test_a_window_begins_after_the_checkpoint(train_file: Callable[..., Path]) -> None:
    plan = make_plan(load_config(train_file(), {}))
    assert with_spike(plan, 5, 7, 8) == ((20, 28),)
    assert with_spike(replace(plan, left_out=((20, 28),)), 4, 6, 8) == ((16, 32), (20, 28))


NOISE_STEPS = range(40, 55)


@pytest.fixture(scope="module")
def noisy(tokenizer_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A token folder with a document of noise among those of words, and its URL."""
    run, choose = tmp_path_factory.mktemp("noisy"), random.Random(5)
    noise = "".join(choose.choices("qxzjkvw0123456789#%&", k=55))
    texts = [*make_texts("en", 400), noise]
    write_shard(run / "run" / "shards" / "en" / "en-00000-000.arrow", texts)
    tokenize_shards([run / "run"], tokenizer_path, run / "tokens", held_out_fraction=0, report=lambda line: None)
    return run / "tokens" / "en", f"https://mill.example/{xxhash.xxh3_128_hexdigest(noise.encode())}"


@pytest.fixture
def noisy_file(train_file: Callable[..., Path], noisy: tuple[Path, str]) -> Callable[..., Path]:
    """Writes a TRAIN.toml in whose order the noise comes in one of `NOISE_STEPS`."""
    tokens, url = noisy

    def write(**changes: object) -> Path:
        settings = {"steps": 80, "source": {"en": {"tokens": str(tokens)}}, "checkpoint": {"every": 10}, **changes}
        for seed in range(100):
            path = train_file(seed=seed, **settings)
            plan = make_plan(load_config(path, {}), check=False)
            if any(step_with(plan, url, step) for step in NOISE_STEPS):
                return path
        raise AssertionError("no seed puts the noise there")

    return write


def step_with(plan: Plan, url: str, step: int) -> bool:
    return any(segment.url == url for segment in traced_segments(plan, step - 1))


ROLLBACK = {"action": "rollback", "window": 32, "sigma": 4.0, "left_out_steps": 2}


def test_a_document_of_noise_is_found_rolled_back_and_left_out(
    noisy_file: Callable[..., Path], noisy: tuple[Path, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, out = noisy_file(spikes=ROLLBACK), tmp_path / "out"
    plan = make_plan(load_config(path, {}))
    (at,) = (step for step in NOISE_STEPS if step_with(plan, noisy[1], step))
    train(path)
    (line,) = (record.getMessage() for record in caplog.records if "spike_rolled_back" in record.getMessage())
    assert f"step {at}: the loss is " in line
    assert f"back to step {(at - 1) // 10 * 10}; the document that raised the loss most is {noisy[1]}" in line
    worst = [json.loads(line) for line in (out / "spikes" / f"step-{at:08d}.jsonl").read_text().splitlines()]
    assert 2 <= len(worst) <= 10  # the step has 4 rows
    assert worst[0]["url"] == noisy[1]
    assert worst[0]["unit"] == "en-00000-000"
    assert worst[0]["ledger_row"] == -1  # it lies beside no ledger
    after = make_plan(load_config(path, {}))
    assert not any(step_with(after, noisy[1], step) for step in range(1, 81))
    proof = verify_run(out)
    assert (proof.problems, proof.steps) == ([], 80)
    assert proof.num_left_out >= 4
    assert [step for step, *_ in curve(out)] == list(range(1, 81))

    def die(record: Record) -> None:
        if record["step"] == at + 3 and "loss" in record and (tmp_path / "killed" / "spikes").exists():
            raise KeyError("as a kill")

    killed = noisy_file(spikes=ROLLBACK, out="killed")
    with pytest.raises(KeyError):
        train(killed, die)
    train(killed)
    assert curve(tmp_path / "killed") == curve(out)


def test_a_training_that_stopped_at_a_spike_goes_on_as_its_message_says(
    noisy_file: Callable[..., Path], noisy: tuple[Path, str], tmp_path: Path
) -> None:
    path = noisy_file(spikes=ROLLBACK | {"action": "stop"})
    with pytest.raises(RunError, match=r"step \d+: the loss is .*, its limit .*, and nothing was updated; .*") as error:
        train(path)
    assert noisy[1] in str(error.value)
    assert "\n" not in str(error.value)
    train(path, **{"spikes.action": "skip"})
    records = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    (skipped,) = (record["step"] for record in records if record.get("skipped"))
    assert f"step {skipped}:" in str(error.value)
    assert verify_run(tmp_path / "out").problems == []
