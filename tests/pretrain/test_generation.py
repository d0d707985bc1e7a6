"""Writing text token by token."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_model import CPU, make_model, positions_of

from pretrain.attention import documents
from pretrain.generation import Reader, Sampling, as_text, continued
from pretrain.tokenizing.tokenizer import Tokenizer


def test_the_next_token_is_predicted_as_in_training() -> None:
    model, ids = make_model(), [3, 1, 4, 1, 5]
    positions = torch.from_numpy(positions_of([[5]], 5))
    hidden = model.hidden(torch.tensor([ids]), positions, documents(np.array([0, 5], np.int32), 5, CPU))
    expected = hidden[0] @ model.head_VC.T
    for length in range(1, 6):
        assert torch.allclose(Reader(model, max_length=16).read(ids[:length]), expected[length - 1])


@pytest.mark.parametrize("max_length", [8, 64])  # in the first the context is full several times
def test_a_cache_changes_no_token(max_length: int) -> None:
    def written(cached: bool) -> list[int]:
        reader = Reader(make_model(), max_length=max_length, cached=cached)
        generator = torch.Generator().manual_seed(1)
        return list(continued(reader, [1, 2, 3], Sampling(1.0, 0.9), generator, max_tokens=40, end=-1))

    assert written(cached=True) == written(cached=False)
    assert len(set(written(cached=True))) > 10


def test_temperature_zero_takes_the_likeliest_token_and_others_draw_by_their_probability() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.log(torch.tensor([0.1, 0.6, 0.3], dtype=torch.float64))

    def drawn(sampling: Sampling) -> list[float]:
        tokens = [sampling.choose(logits, generator) for _ in range(4000)]
        return list(np.bincount(tokens, minlength=3) / 4000)

    assert drawn(Sampling(0)) == [0, 1, 0]
    assert drawn(Sampling(1.0)) == pytest.approx([0.1, 0.6, 0.3], abs=0.03)
    assert drawn(Sampling(0.5)) == pytest.approx([1 / 46, 36 / 46, 9 / 46], abs=0.03)
    assert drawn(Sampling(1.0, top_p=0.7)) == pytest.approx([0, 2 / 3, 1 / 3], abs=0.03)
    assert drawn(Sampling(1.0, top_p=0.6)) == [0, 1, 0]


def test_text_comes_in_whole_characters(tokenizer_path: Path) -> None:
    tokenizer = Tokenizer(tokenizer_path)
    prompt, ids = tokenizer.encode_batch(["The ", "mill 磨坊 🌾"], 1)

    def tokens() -> Iterator[int]:
        yield from map(int, ids)

    pieces = list(as_text(tokenizer, [tokenizer.bos, *map(int, prompt)], tokens()))
    assert "".join(pieces) == "mill 磨坊 🌾"
    assert len(pieces) > 3
    assert not any("\ufffd" in piece for piece in pieces)
    assert len(ids) > len(pieces), "some characters are of several tokens"
