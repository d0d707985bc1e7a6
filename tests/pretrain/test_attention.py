import inspect

import numpy as np
import pytest
import torch
from tiny_model import CPU, SEGMENTS, documents_of, make_model, positions_of

from pretrain import attention
from pretrain.attention import alibi_slopes, choose_kernel, padded
from pretrain.model import rotations
from shards.errors import UserError


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("slopes", [None, alibi_slopes(4).double()], ids=["plain", "alibi"])
def test_attention_equals_attending_to_each_document_alone(kv_heads: int, slopes: torch.Tensor | None) -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(len(SEGMENTS), 16, heads, 8, dtype=torch.float64) for heads in (4, kv_heads, kv_heads))
    out = documents_of(positions_of(SEGMENTS)).attend(q, k, v, slopes)
    for row, lengths in enumerate(SEGMENTS):
        for start, length in zip(np.cumsum([0, *lengths]), lengths, strict=False):
            own = slice(int(start), int(start) + length)
            for head in range(4):
                of_group = head * kv_heads // 4
                scores = q[row, own, head] @ k[row, own, of_group].T / 8**0.5
                if slopes is not None:
                    scores -= slopes[head] * (torch.arange(length)[:, None] - torch.arange(length)).abs()
                scores = scores.masked_fill(torch.ones(length, length).triu(1).bool(), -torch.inf)
                torch.testing.assert_close(out[row, own, head], scores.softmax(-1) @ v[row, own, of_group])


def test_slopes_of_eight_heads_are_the_halves_of_the_paper() -> None:
    assert alibi_slopes(8).tolist() == [2.0**-h for h in range(1, 9)]


@pytest.mark.parametrize(("num_segments", "length"), [(1, 2), (2, 3), (3, 5), (64, 65), (65, 129)])
def test_offsets_are_as_long_as_the_next_power_of_two(num_segments: int, length: int) -> None:
    starts = torch.arange(num_segments + 1, dtype=torch.int32) * 10
    cu_seqlens = padded(starts, num_segments * 10)
    assert (len(cu_seqlens), cu_seqlens.dtype) == (length, torch.int32)
    assert cu_seqlens[: num_segments + 1].equal(starts)
    assert (cu_seqlens[num_segments:] == num_segments * 10).all()


def test_offsets_of_all_lengths_are_one_compiled_graph() -> None:
    graphs = []

    def backend(graph: torch.fx.GraphModule, inputs: object) -> torch.fx.GraphModule:
        graphs.append(inputs)
        return graph

    compiled = torch.compile(lambda x, offsets: x + offsets.sum(), backend=backend, dynamic=False)
    for num_segments in (1, 3, 7, 40, 300):
        compiled(torch.zeros(4), padded(torch.zeros(num_segments + 1, dtype=torch.int32), 0))
    assert len(graphs) == 1


def test_a_block_with_the_cuda_kernel_is_one_whole_graph_for_all_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel is replaced, since there is none on CPU; the call is checked against its signature."""

    def stand_in(
        q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, offsets: torch.Tensor, *_: object, **options: object
    ):
        assert options == {"window_size": (-1, 0), "enable_gqa": True}
        return q * v.sum() + offsets.sum()

    inspect.signature(attention.varlen_attn).bind(
        *"qkv", "cu_seq", "cu_seq", 16, 16, window_size=(-1, 0), enable_gqa=True
    )
    monkeypatch.setattr(attention, "varlen_attn", stand_in)
    graphs = []

    def backend(graph: torch.fx.GraphModule, inputs: object) -> torch.fx.GraphModule:
        graphs.append(inputs)
        return graph

    block = make_model().layers[0].float()
    block.compile(backend=backend, dynamic=False, fullgraph=True)
    x, rotation = torch.randn(4, 16, 32), rotations(torch.arange(16).repeat(4, 1), 8, 1e4)
    for num_segments in (4, 5, 9, 40):
        starts = torch.arange(num_segments + 1, dtype=torch.int32)
        block(x, rotation, attention.PackedDocuments(padded(starts, num_segments), 16))
    assert len(graphs) == 1


def test_alibi_is_refused_where_the_kernel_takes_no_bias() -> None:
    assert choose_kernel(CPU, "alibi") == "SDPA by document"
    with pytest.raises(UserError, match=r'^model\.positions = "alibi": the CUDA kernel takes no bias; use "rope", or'):
        choose_kernel(torch.device("cuda"), "alibi")
