from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tiny_model import CPU

from pretrain.attention import SeparateDocuments
from pretrain.config import load_config
from pretrain.micro_batches import DeviceBatch
from pretrain.order.batch import NO_LABEL
from pretrain.order.groups import Groups
from pretrain.order.loader import Loader
from pretrain.order.plan import make_plan


def test_micro_batches_are_the_batch_in_order(train_file: Callable[..., Path]) -> None:
    plan = make_plan(load_config(train_file(batch_size=8), {}))
    batch = Loader(plan, groups=Groups.of(plan.sources)).batch(0)
    on_device = DeviceBatch(batch, CPU)
    parts = list(on_device.split(3))
    assert [len(part.tokens_BT) for part in parts] == [3, 3, 2]
    for name in ("tokens_BT", "labels_BT", "positions_BT"):
        assert (torch.cat([getattr(part, name) for part in parts]).numpy() == getattr(batch, name)).all()
    lengths: list[int] = []
    for part in parts:
        assert isinstance(part.documents, SeparateDocuments)
        lengths += part.documents.lengths
    assert lengths == np.diff(batch.starts).tolist()
    assert (torch.cat([part.group_N for part in parts]).numpy() == np.repeat(batch.source_B, 64)).all()
    assert on_device.labels_by_group(2).tolist() == batch.labels_by_source(2).tolist()


def test_sums_by_group_are_those_of_its_tokens(train_file: Callable[..., Path]) -> None:
    plan = make_plan(load_config(train_file(batch_size=8), {}))
    batch = Loader(plan, groups=Groups.of(plan.sources)).batch(3)
    (part,) = DeviceBatch(batch, CPU).split(8)
    sums = torch.zeros(2, dtype=torch.float64)
    for _ in range(2):
        part.add_by_group((part.labels_BT != NO_LABEL).float(), sums)
    assert sums.tolist() == (2 * batch.labels_by_source(2)).tolist()


def test_without_groups_all_tokens_are_of_one(train_file: Callable[..., Path]) -> None:
    batch = Loader(make_plan(load_config(train_file(), {}))).batch(0)
    assert DeviceBatch(batch, CPU).labels_by_group(1).tolist() == [batch.num_labels]
