from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pretrain.config import load_config
from pretrain.model import Model
from pretrain.order.loader import Loader
from pretrain.order.plan import make_plan
from pretrain.parallel import spread_model
from pretrain.ranks import Ranks
from pretrain.rows_at_once import choose_rows


@pytest.mark.parametrize(("wanted", "expected"), [("12", 12), ("99", 12), ("5", 4), ("1", 1), ("auto", 12)])
def test_micro_batches_of_a_rank_have_equally_many_rows(
    train_file: Callable[..., Path], wanted: str, expected: int
) -> None:
    config = load_config(train_file(batch_size=12), {"device.micro_batch_size": wanted})
    plan = make_plan(config)
    spread = spread_model(Model(config.model, plan.vocab_size), config.device, Ranks(), torch.device("cpu"))
    assert choose_rows(spread, Loader(plan).batch(0), config, Ranks()) == expected


def test_a_cpu_takes_some_thousand_tokens_at_once(train_file: Callable[..., Path]) -> None:
    config = load_config(train_file(batch_size=12, sequence_length=4096, steps=2), {})
    plan = make_plan(config)
    spread = spread_model(Model(config.model, plan.vocab_size), config.device, Ranks(), torch.device("cpu"))
    assert choose_rows(spread, Loader(plan).batch(0), config, Ranks()) == 4
