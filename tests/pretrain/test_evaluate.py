import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pretrain.config import DeviceConfig, load_config
from pretrain.evaluate import bits_per_byte, choose_held_out
from pretrain.model import Model
from pretrain.order.plan import held_out_documents, make_plan
from pretrain.parallel import spread_model
from pretrain.ranks import Ranks


def test_bits_per_byte_of_a_model_that_knows_nothing_follow_from_counting(train_file: Callable[..., Path]) -> None:
    """All tokens equally likely: log2(vocabulary) bits a token, whatever the packing does to the documents."""
    config = load_config(train_file(), {})
    plan = make_plan(config)
    model = Model(config.model, plan.vocab_size)
    torch.nn.init.zeros_(model.embed_tokens.weight)
    spread = spread_model(model, DeviceConfig(), Ranks(), torch.device("cpu"))
    for name, documents in held_out_documents(plan).items():
        assert (documents.num_tokens - 1 > config.sequence_length).any(), "no document is split"
        held_out = choose_held_out(name, documents, config.sequence_length, max_tokens=10**9)
        expected = math.log2(plan.vocab_size) * (documents.num_tokens - 1).sum() / documents.num_bytes.sum()
        for num_rows in (1, 5):
            assert bits_per_byte(spread, [held_out], num_rows, Ranks())[name] == pytest.approx(expected, rel=1e-6)
        part = choose_held_out(name, documents, config.sequence_length, max_tokens=300)
        assert 0 < part.num_bytes < held_out.num_bytes
