import numpy as np
import torch
from tiny_model import SEGMENTS, documents_of, positions_of


def test_attention_equals_attending_to_each_document_alone() -> None:
    torch.manual_seed(0)
    positions = positions_of(SEGMENTS)
    q, k, v = (torch.randn(len(SEGMENTS), 16, heads, 8, dtype=torch.float64) for heads in (4, 2, 2))
    out = documents_of(positions).attend(q, k, v)
    for row, lengths in enumerate(SEGMENTS):
        for start, length in zip(np.cumsum([0, *lengths]), lengths, strict=False):
            own = slice(int(start), int(start) + length)
            for head in range(4):
                scores = q[row, own, head] @ k[row, own, head // 2].T / 8**0.5
                scores = scores.masked_fill(torch.ones(length, length).triu(1).bool(), -torch.inf)
                torch.testing.assert_close(out[row, own, head], scores.softmax(-1) @ v[row, own, head // 2])
