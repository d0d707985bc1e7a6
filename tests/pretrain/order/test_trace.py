from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w

from pretrain.config import load_config
from pretrain.order.loader import Loader
from pretrain.order.plan import make_plan
from pretrain.order.trace import trace_step, traced_segments
from pretrain.state import TrainState
from shards.errors import UserError


def test_trace_names_the_document_of_every_label(train_file: Callable[..., Path]) -> None:
    plan = make_plan(load_config(train_file(batch_size=8), {}))
    batch, segments = Loader(plan).batch(3), traced_segments(plan, 3)
    documents = {source.name: source.documents for source in plan.sources}
    index = {
        (name, of_source.provenance(i).id): i for name, of_source in documents.items() for i in range(len(of_source))
    }
    rows: dict[int, list[int]] = {}
    for segment in segments:
        tokens = documents[segment.source].tokens
        rows.setdefault(segment.batch_row, []).extend(
            tokens(index[segment.source, segment.id], segment.start, segment.end)
        )
        assert segment.url == f"https://mill.example/{segment.id}"
    for row, labels in rows.items():
        assert batch.labels_BT[row][: len(labels)].tolist() == labels
    assert sum(map(len, rows.values())) == batch.num_labels


def test_trace_counts_steps_as_the_metrics_do(train_file: Callable[..., Path]) -> None:
    path = train_file()
    assert trace_step(path, 1) == traced_segments(make_plan(load_config(path, {})), 0)
    for step in (0, 13):
        with pytest.raises(UserError, match=r"expected 1 … 12"):
            trace_step(path, step)


def test_trace_refuses_a_file_that_out_was_not_trained_by(train_file: Callable[..., Path], tmp_path: Path) -> None:
    path = train_file()
    config = load_config(path, {"seed": "7"})  # as `pretrain --set seed=7` has it
    settings = tmp_path / "out" / "train.toml"
    settings.parent.mkdir()
    settings.write_text(tomli_w.dumps(config.model_dump(exclude_none=True)))
    plan = make_plan(config)

    def check() -> None:
        with pytest.raises(UserError, match=r"differ in seed; use .*out/train\.toml$") as error:
            trace_step(path, 99)  # also where the step is of the other settings
        assert "\n" not in str(error.value)
        assert trace_step(settings, 2) == traced_segments(plan, 1)

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
        trace_step(settings, 2)
