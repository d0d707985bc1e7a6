import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file
from training_runs import curve

from pretrain.config import load_config
from pretrain.order.loader import Loader
from pretrain.order.plan import make_plan
from pretrain.order.trace import trace_step
from pretrain.train import TrainSummary, train_model
from shards.errors import UserError

WSD = {"lr": 1e-2, "warmup_steps": 4, "schedule": "wsd"}


def train(path: Path, *, continued: bool = False, **overrides: str) -> TrainSummary:
    return train_model(path, overrides=overrides, progress=lambda record: None, continued=continued)


def weights(out: Path, step: int) -> dict[str, list[float]]:
    tensors = load_file(out / "checkpoints" / f"step-{step:08d}" / "model-00000.safetensors")
    return {name: tensor.tolist() for name, tensor in tensors.items()}


def test_a_wsd_training_prolonged_from_its_plateau_is_the_long_one_bit_for_bit(
    train_file: Callable[..., Path], tmp_path: Path
) -> None:
    long = train_file(out="long", steps=20, optimizer=WSD)
    train(long)
    short = train_file(steps=12, optimizer=WSD, checkpoint={"every": 4, "keep_last": 1})
    train(short)
    out = tmp_path / "out"
    assert sorted(p.name for p in (out / "checkpoints").iterdir()) == ["step-00000008", "step-00000012"]
    train(train_file(steps=20, optimizer=WSD, checkpoint={"every": 4, "keep_last": 1}), continued=True)
    assert curve(out) == curve(tmp_path / "long")
    assert weights(out, 20) == weights(tmp_path / "long", 20)
    assert (out / "checkpoints" / "left-step-00000012").is_dir()


def test_a_training_continued_with_other_weights_and_a_new_source_keeps_what_it_consumed(
    train_file: Callable[..., Path], tmp_path: Path, tokens: Path
) -> None:
    before = train_file(steps=8)
    train(before)
    old = make_plan(load_config(before, {}))
    shutil.copytree(tokens / "ru", tmp_path / "more")
    sources = {
        "en": {"tokens": str(tokens / "en"), "weight": 0.0},
        "ru": {"tokens": str(tokens / "ru"), "weight": 1.0},
        "more": {"tokens": str(tmp_path / "more"), "weight": 1.0},
    }
    after = train_file(steps=20, source=sources)
    with pytest.raises(UserError, match=r"they differ in .*steps; .* or use --continue where"):
        train(after)
    train(after, continued=True)
    plan = make_plan(load_config(after, {}))
    names = [source.name for source in plan.sources]
    seen: dict[tuple[str, int], set[int]] = {}
    for step in range(20):
        source, epoch, row = plan.rows_of_step(step)
        if step < 8:
            theirs = old.rows_of_step(step)
            assert (row == theirs[2]).all()
            assert [names[s] for s in source] == [("en", "ru")[s] for s in theirs[0]]
            assert (Loader(plan).batch(step).tokens_BT == Loader(old).batch(step).tokens_BT).all()
        else:
            assert {names[s] for s in source} <= {"ru", "more"}
        for s, e, r in zip(source.tolist(), epoch.tolist(), row.tolist(), strict=True):
            rows = seen.setdefault((names[s], e), set())
            assert r not in rows, "a row came twice in an epoch"
            rows.add(r)
    assert [record[0] for record in curve(tmp_path / "out")] == list(range(1, 21))
    assert {segment.source for segment in trace_step(after, 20)} == {"ru", "more"}
    train(after)  # without --continue: the phases are those of its checkpoint
    assert make_plan(load_config(after, {})).phases == plan.phases


def test_what_may_not_change_is_refused_by_name(
    train_file: Callable[..., Path], undisturbed: Path, tokens: Path
) -> None:
    path = train_file(out="undisturbed", steps=20, seed=3, batch_size=8)
    with pytest.raises(UserError, match=r"may change steps, weights, sources .* differ in batch_size, seed; set"):
        train(path, continued=True)
    one = {"en": {"tokens": str(tokens / "en"), "weight": 0.75}}
    with pytest.raises(UserError, match=r"was trained on source ru, which is missing; keep it, with weight = 0"):
        train(train_file(out="undisturbed", steps=20, source=one), continued=True)
    with pytest.raises(UserError, match=r"was trained for 12 steps already; steps 12 must be more"):
        train(train_file(out="undisturbed"), continued=True)
    with pytest.raises(UserError, match=r"nowhere: has no checkpoint to continue from; leave --continue out"):
        train(train_file(out="nowhere"), continued=True)
    assert len(json.loads((undisturbed / "checkpoints" / "step-00000012" / "state.json").read_text())["phases"]) == 1


def test_a_wsd_training_without_a_checkpoint_of_its_plateau_is_not_prolonged(
    train_file: Callable[..., Path], tmp_path: Path
) -> None:
    train(train_file(steps=12, optimizer=WSD))
    shutil.rmtree(tmp_path / "out" / "checkpoints" / "step-00000008")
    with pytest.raises(UserError, match=r"no checkpoint is left of its plateau, the first 10 steps; .*another out"):
        train(train_file(steps=20, optimizer=WSD), continued=True)
