from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import tomli_w

from pretrain.config import load_config
from pretrain.order.loader import Loader, trace
from pretrain.order.packing import NO_LABEL
from pretrain.order.plan import make_plan
from pretrain.state import TrainState
from pretrain.tokenizing.tokenize import tokenize_shards
from pretrain.tokenizing.tokenizer import train_tokenizer
from shards.errors import UserError
from shards.tokens import HELD_OUT, TokenDocuments


@pytest.fixture
def loader(train_file: Callable[..., Path]) -> Loader:
    return Loader(make_plan(load_config(train_file(batch_size=8), {})))


@pytest.mark.parametrize("world", [1, 2, 4, 8])
def test_any_world_size_gives_the_same_global_batch(loader: Loader, world: int) -> None:
    for step in (0, 5, 11):
        whole = asdict(loader.batch(step))
        for rank in range(world):
            part = asdict(loader.batch(step, rank, world))
            for name in ("tokens_BT", "labels_BT", "positions_BT", "source_B"):
                assert (part[name] == whole[name][rank::world]).all()


def test_batches_can_be_asked_in_any_order(loader: Loader, train_file: Callable[..., Path]) -> None:
    forwards = [loader.batch(step).tokens_BT for step in range(6)]
    fresh = Loader(make_plan(load_config(train_file(batch_size=8), {})))
    for step in reversed(range(6)):
        assert (fresh.batch(step).tokens_BT == forwards[step]).all()


def test_micro_batches_are_the_batch_in_order(loader: Loader) -> None:
    batch = loader.batch(0)
    parts = list(batch.split(3))
    assert [len(part.source_B) for part in parts] == [3, 3, 2]
    assert (np.concatenate([part.labels_BT for part in parts]) == batch.labels_BT).all()
    assert batch.labels_by_source(2).sum() == batch.num_labels == (batch.labels_BT != NO_LABEL).sum()


def test_trace_names_the_document_of_every_label(loader: Loader) -> None:
    batch, pieces = loader.batch(3), loader.trace(3)
    documents = {source.name: source.documents for source in loader.plan.sources}
    index = {(name, found.provenance(i).id): i for name, found in documents.items() for i in range(len(found))}
    rows: dict[int, list[int]] = {}
    for piece in pieces:
        found = documents[piece.source]
        rows.setdefault(piece.slot, []).extend(found.tokens(index[piece.source, piece.id], piece.start, piece.end))
        assert piece.url == f"https://mill.example/{piece.id}"
    for slot, labels in rows.items():
        assert batch.labels_BT[slot][: len(labels)].tolist() == labels
    assert sum(map(len, rows.values())) == batch.num_labels


def test_trace_counts_steps_as_the_metrics_do(train_file: Callable[..., Path]) -> None:
    path = train_file()
    assert trace(path, 1) == Loader(make_plan(load_config(path, {}))).trace(0)
    for step in (0, 13):
        with pytest.raises(UserError, match=r"expected 1 … 12"):
            trace(path, step)


def test_trace_refuses_a_file_that_out_was_not_trained_by(train_file: Callable[..., Path], tmp_path: Path) -> None:
    path = train_file()
    config = load_config(path, {"seed": "7"})  # as `pretrain --set seed=7` has it
    settings = tmp_path / "out" / "train.toml"
    settings.parent.mkdir()
    settings.write_text(tomli_w.dumps(config.model_dump(exclude_none=True)))
    plan = make_plan(config)

    def check() -> None:
        with pytest.raises(UserError, match=r"differ in seed; give .*out/train\.toml$") as error:
            trace(path, 99)  # also where the step is of the other settings
        assert "\n" not in str(error.value)
        assert trace(settings, 2) == Loader(plan).trace(1)

    check()
    state = TrainState(step=4, tokens=1, plan_hash=plan.hash, identity=plan.identity)
    for name, text in (("step-00000004", state.model_dump_json()), ("step-00000008", '{"step"')):
        checkpoint = tmp_path / "out" / "checkpoints" / name
        checkpoint.mkdir(parents=True)
        (checkpoint / "state.json").write_text(text)
    check()
    of_other_tokens = state.model_copy(update={"identity": plan.identity | {"source.en.tokens": "0"}})
    (tmp_path / "out" / "checkpoints" / "step-00000004" / "state.json").write_text(of_other_tokens.model_dump_json())
    with pytest.raises(UserError, match=r"differ in source\.en\.tokens; tokenize their shards as they were"):
        trace(settings, 2)


def test_held_out_documents_are_never_trained_on(loader: Loader) -> None:
    trained = {piece.id for step in range(12) for piece in loader.trace(step)}
    for source in loader.plan.sources:
        held_out = TokenDocuments(source.documents.folder, HELD_OUT)
        assert len(held_out)
        assert not trained & {held_out.provenance(i).id for i in range(len(held_out))}


def test_sources_of_different_tokenizers_are_refused(
    train_file: Callable[..., Path], tmp_path: Path, tokens: Path, run_folder: Path
) -> None:
    train_tokenizer([run_folder], tmp_path / "other.json", vocab_size=300, sample_bytes=10_000)
    tokenize_shards(
        [run_folder], tmp_path / "other.json", tmp_path / "other", held_out_fraction=0.1, report=lambda line: None
    )
    sources = {"en": {"tokens": str(tokens / "en")}, "ru": {"tokens": str(tmp_path / "other" / "ru")}}
    with pytest.raises(UserError, match=r"source ru: its tokenizer .* is not that of source en"):
        make_plan(load_config(train_file(source=sources), {}))


@pytest.mark.parametrize(
    ("changes", "overrides", "message"),
    [
        ({"stepz": 1}, {}, "train.toml.stepz: unknown key"),
        ({"steps": None}, {}, "either steps or tokens"),
        ({"tokens": 5}, {}, "either steps or tokens"),
        ({}, {"optimizer.lr": "fast"}, "train.toml.optimizer.lr: .* found 'fast'"),
        ({}, {"source.en.weight": "-1"}, "train.toml.source.en.weight: .*greater than 0"),
        ({"model": {"preset": "7q"}}, {}, "model.preset: expected one of 1m, 3m"),
        ({}, {"model.num_kv_heads": "3"}, "must be a multiple of num_kv_heads 3"),
        ({}, {"micro_batch_size": "3"}, "must be a multiple of micro_batch_size 3"),
        ({}, {"steps.x": "3"}, "steps is a value, not a table"),
        ({}, {"steps": "1" + "0" * 20}, "train.toml.steps: "),
        ({"steps": None}, {"tokens": "1" + "0" * 400}, "train.toml.steps: "),
        ({}, {"source.en.weight": "inf"}, "train.toml.source.en.weight: .*finite"),
        ({}, {"source.en.max_epochs": "inf"}, "train.toml.source.en.max_epochs: .*finite"),
        ({}, {"optimizer.lr": "nan"}, "train.toml.optimizer.lr: .*finite"),
        ({}, {"optimizer.beta1": "1.5"}, "train.toml.optimizer.beta1: .*less than 1"),
        ({}, {"optimizer.beta2": "-0.1"}, "train.toml.optimizer.beta2: "),
        ({}, {"optimizer.epsilon": "-1.0"}, "train.toml.optimizer.epsilon: .*greater than 0"),
        ({}, {"optimizer.weight_decay": "-1.0"}, "train.toml.optimizer.weight_decay: "),
        ({}, {"optimizer.max_grad_norm": "0.0"}, "train.toml.optimizer.max_grad_norm: .*greater than 0"),
        ({}, {"model.rope_theta": "0.0"}, "train.toml.model.rope_theta: .*greater than 0"),
        ({}, {"seed": "1" + "0" * 23}, "train.toml.seed: "),
        ({"model": {"preset": [1]}}, {}, r"model.preset: expected one of .* found \[1\]"),
        ({}, {"sequence_length": "1" + "0" * 12}, "train.toml.sequence_length: .*less than or equal"),
    ],
)
def test_bad_settings_are_refused_with_their_place(
    train_file: Callable[..., Path], changes: dict[str, object], overrides: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message) as error:
        load_config(train_file(**changes), overrides)
    assert "\n" not in str(error.value)


def test_settings_are_filled_in_from_preset_tokens_and_overrides(train_file: Callable[..., Path]) -> None:
    path = train_file(model={"preset": "3m", "num_layers": 2}, steps=None, tokens=1000)
    config = load_config(path, {"optimizer.lr": "1e-4", "batch_size": "2"})
    assert (config.model.width, config.model.num_layers) == (256, 2)
    assert config.steps == 8  # 1,000 tokens in steps of 2 × 64
    assert config.optimizer.lr == 1e-4
    assert config.out == str(path.parent / "out")
