from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from pretrain.config import load_config
from pretrain.order.loader import Loader
from pretrain.order.plan import make_plan


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
