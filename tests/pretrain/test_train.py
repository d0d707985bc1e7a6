import json
import math
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_runs import curve, evaluations, train

from pretrain.config import load_config
from pretrain.metrics import Record
from pretrain.model import Model
from pretrain.optim import make_optimizer
from pretrain.order.groups import Groups
from pretrain.order.loader import Loader
from pretrain.order.plan import make_plan
from pretrain.parallel import spread_model
from pretrain.ranks import Ranks
from pretrain.state import read_state, write_state
from pretrain.step import Steps
from pretrain.tokenizing.tokenize import tokenize_shards
from pretrain.train import train_model
from pretrain.verify_run import verify_run
from shards.errors import Interrupted, RunError, UserError
from shards.lock import locked


def test_a_run_writes_a_line_a_step_and_learns(train_file: Callable[..., Path], tmp_path: Path) -> None:
    summary = train(train_file(steps=40, evaluate={"max_tokens": 1000, "first": True, "every": 20}))
    steps = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in steps] == list(range(1, 41))
    assert all({"step", "loss", "tokens", "tokens_per_s", "loss_by_source"} <= record.keys() for record in steps)
    assert {name for record in steps for name in record["loss_by_source"]} == {"en", "ru"}
    assert steps[-1]["tokens"] == summary.tokens > 40 * 4 * 64 * 0.9
    assert steps[0]["loss"] == pytest.approx(math.log(320), abs=0.3)
    assert summary.loss == steps[-1]["loss"] < steps[0]["loss"] - 1.5
    assert [record["step"] for record in evaluations(tmp_path / "out")] == [0, 20, 40]
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
    with pytest.raises(Interrupted, match=r"stopped after step 7 of 12.*gristmill pretrain"):
        train(path, stop)
    assert [step for step, *_ in curve(tmp_path / "out")] == [1, 2, 3, 4, 5, 6, 7]  # figures are read a step late
    train(path)
    assert curve(tmp_path / "out") == curve(undisturbed)
    assert evaluations(tmp_path / "out") == evaluations(undisturbed)
    assert signal.getsignal(signal.SIGINT) is handler


def test_momenta_and_averages_are_resumed_too(train_file: Callable[..., Path], tmp_path: Path) -> None:
    optimizer = {"kind": "muon", "ema": 0.8, "z_loss": 1e-3, "warmup_steps": 4}

    def stop(record: Record) -> None:
        if record["step"] == 6 and "loss" in record:
            signal.raise_signal(signal.SIGINT)

    train(train_file(out="whole", optimizer=optimizer))
    path = train_file(optimizer=optimizer)
    with pytest.raises(Interrupted):
        train(path, stop)
    train(path)
    assert curve(tmp_path / "out") == curve(tmp_path / "whole")
    assert evaluations(tmp_path / "out") == evaluations(tmp_path / "whole")
    train(train_file(out="weights", optimizer=optimizer | {"ema": 0.0}))
    assert evaluations(tmp_path / "weights")[-1] != evaluations(tmp_path / "whole")[-1]
    assert curve(tmp_path / "weights") == curve(tmp_path / "whole")


KILLED_RUN = """
import os, signal, sys
from pathlib import Path
from pretrain import checkpoint, checkpoint_storage
from pretrain.train import train_model

path, where, when = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def kill():
    os.kill(os.getpid(), signal.SIGKILL)
def killing(name, what):
    def do(path, *args):
        if f"step-{when:08d}" in str(path) and name in str(path):
            kill()
        return what(path, *args)
    return do
def progress(record):
    if record["step"] == when and "loss" in record:
        if where == "step":
            kill()
        elif where == "state.json":
            checkpoint_storage.write_state = killing("step", checkpoint_storage.write_state)
        elif where == "delete":
            checkpoint.shutil = type("dead", (), {"rmtree": lambda path: kill()})
        else:
            checkpoint_storage.atomic_file = killing(where, checkpoint_storage.atomic_file)
train_model(path, overrides={}, progress=progress)
"""


@pytest.mark.parametrize(
    ("where", "when", "expected_step"),
    [
        ("step", 7, 4),  # between checkpoints
        ("state.json", 8, 4),  # all of the checkpoint but what makes it one
        pytest.param("model-", 8, 4, marks=pytest.mark.slow),  # before the weights
        pytest.param("optimizer-", 8, 4, marks=pytest.mark.slow),  # before the optimizer state
        pytest.param("delete", 12, 12, marks=pytest.mark.slow),  # while the oldest checkpoint is deleted
    ],
)
def test_a_killed_run_goes_on_from_a_whole_checkpoint(
    train_file: Callable[..., Path], tmp_path: Path, undisturbed: Path, where: str, when: int, expected_step: int
) -> None:
    path = train_file(out="killed", checkpoint={"every": 4, "asynchronous": False})
    killed = subprocess.run([sys.executable, "-c", KILLED_RUN, str(path), where, str(when)], check=False)
    assert killed.returncode == -signal.SIGKILL
    steps: list[int] = []
    train(path, lambda record: steps.append(record["step"]) if "loss" in record else None)
    assert steps[:1] == ([expected_step + 1] if expected_step < 12 else [])
    assert curve(tmp_path / "killed") == curve(undisturbed)
    assert evaluations(tmp_path / "killed") == evaluations(undisturbed)


KILLED_IN_SAVES = """
import os, random, signal, sys, time
from pathlib import Path
from pretrain.train import train_model

path, checkpoints = Path(sys.argv[1]), Path(sys.argv[2]) / "checkpoints"
train_model(path, overrides={"out": sys.argv[4]}, progress=lambda record: None)  # and all that children need is loaded
delays, torn = random.Random(0), 0
for number in range(int(sys.argv[3]) + 1):
    child = os.fork()
    if not child:
        train_model(path, overrides={}, progress=lambda record: None)
        os._exit(0)
    seen = set(checkpoints.glob("step-*"))
    while number < int(sys.argv[3]) and not {new for new in checkpoints.glob("step-*") if new not in seen}:
        time.sleep(.0005)
    if number < int(sys.argv[3]):  # a checkpoint is being written
        time.sleep(delays.random() * .008)
        os.kill(child, signal.SIGKILL)
        torn += any(not (new / "state.json").exists() for new in checkpoints.glob("step-*"))
    os.waitpid(child, 0)
print(torn)
"""


@pytest.mark.slow
def test_twenty_kills_within_saves_lose_nothing(train_file: Callable[..., Path], tmp_path: Path) -> None:
    path, out, whole = train_file(steps=60, checkpoint={"every": 1}), tmp_path / "out", tmp_path / "whole"
    command = [sys.executable, "-c", KILLED_IN_SAVES, str(path), str(out), "20", str(whole)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 5, "too few of the kills came within a save"
    assert curve(out) == curve(whole)


def test_a_finished_run_is_not_trained_again(train_file: Callable[..., Path], undisturbed: Path) -> None:
    records: list[Record] = []
    again = train(train_file(out="undisturbed"), records.append)
    assert not records
    assert (again.steps, again.loss) == (12, curve(undisturbed)[-1][1])


def test_a_resume_with_other_settings_is_refused_by_name(
    train_file: Callable[..., Path], undisturbed: Path, tokens: Path
) -> None:
    sources = {"en": {"tokens": str(tokens / "ru")}, "ru": {"tokens": str(tokens / "ru"), "weight": 0.25}}
    path = train_file(out="undisturbed", source=sources, seed=3)
    with pytest.raises(UserError, match=r"differ in seed, source\.en\.tokens, source\.en\.weight;") as error:
        train(path)
    assert "\n" not in str(error.value)


def test_a_resume_may_change_what_leaves_the_curve_alone(train_file: Callable[..., Path], undisturbed: Path) -> None:
    changes = {"device.micro_batch_size": "2", "checkpoint.keep_last": "1", "device.kind": "cpu"}
    train(train_file(out="undisturbed"), **changes)


def test_micro_batches_give_the_same_curve(train_file: Callable[..., Path], tmp_path: Path, undisturbed: Path) -> None:
    train(train_file(), **{"device.micro_batch_size": "1"})
    for ours, whole in zip(curve(tmp_path / "out"), curve(undisturbed), strict=True):
        assert ours[1] == pytest.approx(whole[1], abs=1e-4)


def test_a_plan_of_too_many_epochs_is_refused_before_anything_is_written(
    train_file: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"source en: the plan needs \d+\.\d epochs .* max_epochs = 4"):
        train(train_file(steps=5000))
    assert not (tmp_path / "out").exists()


def test_a_loss_that_is_not_finite_ends_the_run_with_a_remedy_by_which_it_goes_on(
    train_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poison(record: Record) -> None:
        if record["step"] == 5:  # the next one has been launched
            monkeypatch.setattr(
                "pretrain.model.Model.hidden", lambda self, *args: self.embed_tokens(args[0]) * math.nan
            )

    remedy = r"with --continue --set optimizer\.lr=… below 0\.01 goes on from step 4;"
    with pytest.raises(RunError, match=rf"step 7: the loss is nan, and nothing was updated; the same command {remedy}"):
        train(train_file(), poison)
    assert [step for step, *_ in curve(tmp_path / "out")] == [1, 2, 3, 4, 5, 6]
    assert [path.name for path in (tmp_path / "out" / "checkpoints").iterdir()] == ["step-00000004"]
    monkeypatch.undo()
    summary = train_model(
        train_file(), overrides={"optimizer.lr": "5e-3"}, progress=lambda record: None, continued=True
    )
    assert summary.steps == len(curve(tmp_path / "out")) == 12
    proof = verify_run(tmp_path / "out")
    assert not proof.problems


@pytest.mark.parametrize(("checkpoint_every", "remedy"), [(1, "begin again in another out"), (4, "begin again")])
def test_a_gradient_that_is_not_finite_updates_nothing(
    train_file: Callable[..., Path], tmp_path: Path, checkpoint_every: int, remedy: str
) -> None:
    """Weights of 1e18 have gradients that are not finite, at any learning rate of the next step."""
    settings = {"optimizer.lr": "1e18", "optimizer.warmup_steps": "0"}
    pattern = rf"step \d+: the (loss|gradient norm) is \w+, and nothing was updated; {remedy} with --set optimizer\.lr"
    for steps in (2, 12):  # the last step is read too
        with pytest.raises(RunError, match=pattern):
            train(train_file(checkpoint={"every": checkpoint_every}, steps=steps, out=f"out-{steps}"), **settings)
    for path in tmp_path.glob("out-*/checkpoints/*/model-00000.safetensors"):
        assert all(tensor.isfinite().all() for tensor in load_file(path).values())
    for path in tmp_path.glob("out-*/*.jsonl"):
        for line in path.read_text().splitlines():
            json.loads(line, parse_constant=pytest.fail)
    out = "other" if "another" in remedy else "out-12"
    assert train(train_file(out=out)).steps == 12


def test_no_learning_rate_is_advised_where_the_initial_weights_give_no_finite_loss(
    train_file: Callable[..., Path],
) -> None:
    with pytest.raises(
        RunError, match=r"step 1: .* the initial weights give it; change \[model\] or optimizer\.z_loss"
    ):
        train(train_file(), **{"optimizer.z_loss": "1e308"})


def test_no_update_is_made_from_the_first_step_on_that_is_not_finite(
    train_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights of a run that stops are those before the bad step, although the next one was launched."""
    plan = make_plan(load_config(train_file(), {}))
    spread = spread_model(Model(plan.config.model, plan.vocab_size), plan.config.device, Ranks(), torch.device("cpu"))
    groups, optimizer = Groups.of(plan.sources), make_optimizer(spread.model, plan.config.optimizer)
    steps, loader = Steps(spread, optimizer, plan.config, groups, Ranks(), 4), Loader(plan, groups=groups)
    steps.launch(loader.batch(0), 1)
    before = [p.detach().clone() for p in spread.model.parameters()]
    with monkeypatch.context() as patched:
        patched.setattr("pretrain.model.Model.hidden", lambda self, *args: self.embed_tokens(args[0]) * math.nan)
        bad = steps.launch(loader.batch(1), 2)
    good = steps.launch(loader.batch(2), 3)
    assert not steps.read(bad).is_finite
    assert steps.read(good).is_finite
    for ours, theirs in zip(spread.model.parameters(), before, strict=True):
        assert torch.equal(ours, theirs)


def test_a_setting_that_a_checkpoint_does_not_know_has_its_default_there(
    train_file: Callable[..., Path], undisturbed: Path
) -> None:
    for path in undisturbed.glob("checkpoints/*/state.json"):
        state = read_state(path.parent)
        del state.identity["optimizer.decay_fraction"]
        write_state(path.parent, state)
    train(train_file(out="undisturbed"))
    with pytest.raises(UserError, match=r"differ in optimizer\.decay_fraction;"):
        train(train_file(out="undisturbed"), **{"optimizer.decay_fraction": "0.3"})


def test_a_source_of_which_nothing_is_held_out_is_named(
    train_file: Callable[..., Path],
    tmp_path: Path,
    run_folder: Path,
    tokenizer_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tokenize_shards([run_folder], tokenizer_path, tmp_path / "t", held_out_fraction=0, report=lambda line: None)
    summary = train(train_file(steps=1, source={"en": {"tokens": str(tmp_path / "t" / "en")}}))
    assert summary.held_out_after == {}
    (line,) = [record.getMessage() for record in caplog.records if "not_measured" in record.getMessage()]
    assert line.startswith("event=not_measured source=en: no text of it is held out")


def test_two_processes_do_not_train_in_one_folder(train_file: Callable[..., Path], tmp_path: Path) -> None:
    with locked(tmp_path / "out"), pytest.raises(UserError, match=r"another gristmill works .* choose another out$"):
        train(train_file())
    assert not (tmp_path / "out" / "metrics.jsonl").exists()


def test_a_file_where_the_folder_should_be_is_refused(train_file: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    for out in ("out", "out/inner"):
        with pytest.raises(UserError, match=r"cannot be written: .*; choose a folder"):
            train(train_file(out=out))


def test_a_damaged_token_shard_is_not_trained_on(train_file: Callable[..., Path], tmp_path: Path, tokens: Path) -> None:
    shutil.copytree(tokens / "en", tmp_path / "en")
    shard = next((tmp_path / "en" / "train").glob("*.arrow"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = b"\x07" * 400
    shard.write_bytes(data)
    path = train_file(source={"en": {"tokens": str(tmp_path / "en")}})
    with pytest.raises(RunError, match=rf"{shard.name}: its sha256 is not the one in manifest\.json; run the same"):
        train_model(path, overrides={}, progress=lambda record: None, verify=True)
    assert not (tmp_path / "out").exists()
    with pytest.raises(RunError, match=rf"{shard.name}: (bytes|its figures) .*; run the same"):
        train(path)


@pytest.mark.parametrize("name", ["metrics.jsonl", "held_out.jsonl"])
@pytest.mark.parametrize("content", [None, b"[1]\n", b"\xff\xfe\x00\n{}\n3\n", b'{"step": 12}\n'])
def test_a_finished_run_has_its_results_without_its_records(
    train_file: Callable[..., Path], undisturbed: Path, name: str, content: bytes | None
) -> None:
    before = train(train_file(out="undisturbed"))
    assert before.held_out_before.keys() == before.held_out_after.keys() == {"en", "ru"}
    (undisturbed / name).unlink() if content is None else (undisturbed / name).write_bytes(content)
    assert train(train_file(out="undisturbed")) == before


def test_cuda_is_refused_where_there_is_none(train_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="torch sees no CUDA device"):
        train(train_file(), **{"device.kind": "cuda"})
