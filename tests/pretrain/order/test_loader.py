import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pretrain.config import load_config
from pretrain.order.loader import Loader
from pretrain.order.plan import keep_plan, make_plan
from shards.errors import RunError
from shards.tokens import TRAIN, TokenDocuments


@pytest.fixture
def loader(train_file: Callable[..., Path]) -> Loader:
    return Loader(make_plan(load_config(train_file(batch_size=8), {})))


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_any_world_size_gives_the_same_global_batch(train_file: Callable[..., Path], world: int) -> None:
    plan = make_plan(load_config(train_file(batch_size=24), {}))
    for step in (0, 5, 11):
        whole = Loader(plan).batch(step)
        for rank in range(world):
            part = Loader(plan, rank, world).batch(step)
            for name in ("tokens_BT", "labels_BT", "positions_BT", "source_B", "num_segments_B", "num_labels_B"):
                assert (getattr(part, name) == getattr(whole, name)[rank::world]).all()


def test_batches_can_be_asked_in_any_order(loader: Loader, train_file: Callable[..., Path]) -> None:
    forwards = [loader.batch(step).tokens_BT for step in range(6)]
    fresh = Loader(make_plan(load_config(train_file(batch_size=8), {})))
    for step in reversed(range(6)):
        assert (fresh.batch(step).tokens_BT == forwards[step]).all()


def test_batches_in_three_buffers_are_those_in_new_ones(loader: Loader) -> None:
    buffers = tuple(np.full(loader.buffer_length, -7, np.int32) for _ in range(3))
    steps = 0
    for step, batch in enumerate(loader.batches(2, 12, buffers), 2):
        expected = loader.batch(step)
        for name in ("tokens_BT", "labels_BT", "starts", "buffer", "num_segments_B", "num_labels_B", "source_B"):
            assert (getattr(batch, name) == getattr(expected, name)).all()
        assert any(np.shares_memory(batch.tokens_BT, buffer) for buffer in buffers)
        steps += 1
    assert steps == 10


def test_the_loader_is_a_data_set_of_torch_by_step(loader: Loader) -> None:
    from torch.utils.data import DataLoader

    steps = list(DataLoader(loader, batch_size=None, sampler=range(3, 12), num_workers=2))
    assert len(steps) == 9
    for step, arrays in enumerate(steps, 3):
        batch = loader.batch(step)
        for name, expected in (("tokens", batch.tokens_BT), ("labels", batch.labels_BT), ("starts", batch.starts)):
            assert (arrays[name].numpy() == expected).all()
    with pytest.raises(IndexError):
        loader[12]


def test_a_flipped_bit_is_named_with_its_block_when_it_is_first_read(
    train_file: Callable[..., Path], tmp_path: Path, tokens: Path
) -> None:
    shutil.copytree(tokens / "en", tmp_path / "en")
    config = load_config(train_file(source={"en": {"tokens": str(tmp_path / "en")}}), {})
    documents = TokenDocuments(tmp_path / "en", TRAIN)
    shard = documents.parts[0].path
    at = int(documents.layout.byte[0]) + 100
    data = bytearray(shard.read_bytes())
    data[at] ^= 4
    shard.write_bytes(data)
    plan = make_plan(config)  # reads no tokens
    with pytest.raises(
        RunError, match=rf"{shard.name}: bytes 0 to {len(data) - 1:,} are not as .*; run the same"
    ) as error:
        list(map(Loader(plan).batch, range(12)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", [lambda data: data[:-64], lambda data: b""])
def test_a_file_that_is_cut_short_is_refused_by_its_size(
    train_file: Callable[..., Path], tmp_path: Path, tokens: Path, damage: Callable[[bytes], bytes]
) -> None:
    shutil.copytree(tokens / "en", tmp_path / "en")
    config = load_config(train_file(source={"en": {"tokens": str(tmp_path / "en")}}), {})
    keep_plan(make_plan(config))
    shard = next((tmp_path / "en" / "train").glob("*.arrow"))
    shard.write_bytes(damage(shard.read_bytes()))
    with pytest.raises(
        RunError, match=rf"{shard.name}: expected [\d,]+ bytes as manifest\.json says, found [\d,]+; run"
    ):
        make_plan(config)
