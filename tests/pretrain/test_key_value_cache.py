"""A document read piece by piece has the hidden states of one that is read at once."""

import numpy as np
import pytest
import torch
from tiny_model import CPU, make_model

from pretrain.attention import documents
from pretrain.key_value_cache import KeyValueCache


@pytest.mark.parametrize("positions", ["rope", "alibi"])
@pytest.mark.parametrize("pieces", [[1] * 11, [5, 1, 1, 4], [11]])
def test_reading_in_pieces_is_reading_at_once(positions: str, pieces: list[int]) -> None:
    model = make_model(positions=positions)
    ids = torch.arange(11)[None] * 7 % 50
    whole = model.hidden(ids, torch.arange(11)[None], documents(np.array([0, 11], np.int32), 11, CPU))
    cache, parts = KeyValueCache(len(model.layers)), []
    for end, length in zip(np.cumsum(pieces).tolist(), pieces, strict=True):
        own = slice(end - length, end)
        parts.append(model.hidden(ids[:, own], torch.arange(11)[None, own], cache))
    assert cache.length == 11
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-12)
