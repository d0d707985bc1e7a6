from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w

from pretrain.config import load_config
from pretrain.order.loader import Loader
from pretrain.order.plan import make_plan
from pretrain.order.trace import trace_step, traced_segments
from pretrain.state import TrainState, write_state
from shards.errors import UserError
from shards.sink import read_table


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
    checkpoints = tmp_path / "out" / "checkpoints"
    write_state(checkpoints / "step-00000004", state)
    (checkpoints / "step-00000008").mkdir()
    (checkpoints / "step-00000008" / "state.json").write_text('{"step"')
    check()
    of_other_tokens = state.model_copy(update={"identity": plan.identity | {"source.en.tokens": "0"}})
    write_state(checkpoints / "step-00000004", of_other_tokens)
    with pytest.raises(UserError, match=r"differ in source\.en\.tokens; tokenize their shards as they were"):
        trace_step(settings, 2)


def test_a_folder_is_traced_wherever_it_lies_now(train_file: Callable[..., Path], tmp_path: Path) -> None:
    config = load_config(train_file(), {})
    moved = tmp_path / "moved"
    moved.mkdir()
    (moved / "train.toml").write_text(tomli_w.dumps(config.model_dump(exclude_none=True)))
    with pytest.raises(
        UserError, match=r"moved: no training: has no metrics\.jsonl; name the `out` of one, or a TRAIN"
    ):
        trace_step(moved, 5)
    (moved / "metrics.jsonl").touch()
    assert trace_step(moved, 5) == trace_step(tmp_path / "train.toml", 5)


@pytest.mark.parametrize("world", [1, 2, 4])
def test_the_ranks_of_a_world_have_the_rows_of_a_step_between_them(train_file: Callable[..., Path], world: int) -> None:
    path = train_file()
    parts = [trace_step(path, 7, rank=rank, world=world) for rank in range(world)]
    assert sorted((s for part in parts for s in part), key=lambda s: s.batch_row) == trace_step(path, 7)
    for rank, part in enumerate(parts):
        assert {segment.batch_row % world for segment in part} == {rank}


def test_ranks_and_worlds_outside_of_a_training_are_refused(train_file: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match=r"--world 3: must divide batch_size 4"):
        trace_step(train_file(), 1, world=3)
    with pytest.raises(UserError, match=r"--rank 2: expected 0 … 1; --world says how many ranks there are"):
        trace_step(train_file(), 1, rank=2, world=2)


def test_the_text_of_whole_documents_is_theirs(train_file: Callable[..., Path], run_folder: Path) -> None:
    path = train_file(batch_size=16, sequence_length=512)
    texts = {
        row["id"]: row["text"]
        for shard in run_folder.glob("shards/*/*.arrow")
        for row in read_table(shard, ["id", "text"]).to_pylist()
    }
    plan = make_plan(load_config(path, {}))
    num_tokens = {
        source.documents.provenance(i).id: int(source.documents.num_tokens[i])
        for source in plan.sources
        for i in range(source.num_documents)
    }
    segments = trace_step(path, 1, with_text=True)
    whole = [s for s in segments if (s.start, s.end) == (1, num_tokens[s.id])]
    assert len(whole) > 20
    for segment in whole:
        assert segment.text == texts[segment.id] + "<|eos|>"
        assert segment.origin.unit.startswith(f"{segment.source}-0000")
