"""Log-likelihoods of packed texts are those of each text alone."""

import numpy as np
import pytest
import torch
from tiny_model import VOCAB, make_model

from pretrain import log_likelihoods as module
from pretrain.generation import Reader
from pretrain.log_likelihoods import Text, log_likelihoods
from pretrain.ranks import Ranks


def texts() -> list[Text]:
    generator = np.random.default_rng(0)
    made = []
    for length in (2, 9, 30, 5, 17, 9):
        ids = generator.integers(0, VOCAB, length).astype(np.uint32)
        made.append(Text.ending(ids, int(generator.integers(1, length)), max_length=64))
    shared = made[2].ids
    return [*made, *(Text.ending(np.append(shared[:-1], last).astype(np.uint32), 1, 64) for last in (3, 4, 5))]


def alone(text: Text) -> tuple[float, int]:
    """By reading the text token by token."""
    reader, log_p, likeliest = Reader(make_model(), max_length=64), 0.0, 0
    for place in range(1, len(text.ids)):
        logits = reader.read([int(text.ids[place - 1])])
        if place in text.scored:
            log_p += float(logits.log_softmax(0)[int(text.ids[place])])
            likeliest += int(logits.argmax()) == int(text.ids[place])
    return log_p, likeliest


@pytest.mark.parametrize("num_tokens", [1, 24, 8192])
def test_packing_changes_nothing(num_tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TOKENS", num_tokens)
    monkeypatch.setattr(module, "_PREDICTIONS", 7)
    found = log_likelihoods(make_model(), texts())
    assert np.allclose(found, [alone(text) for text in texts()], atol=1e-9)


def test_texts_of_one_input_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, read = make_model(), []
    hidden = model.hidden
    monkeypatch.setattr(model, "hidden", lambda tokens, *more: read.append(tokens.numel()) or hidden(tokens, *more))
    log_likelihoods(model, texts())
    assert sum(read) == 1 + 8 + 29 + 4 + 16 + 8


def test_ranks_share_the_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TOKENS", 24)
    monkeypatch.setattr(Ranks, "sum", lambda self, tensor: tensor)
    parts = [log_likelihoods(make_model(), texts(), ranks=Ranks(rank, 3)) for rank in range(3)]
    assert np.allclose(sum(parts), log_likelihoods(make_model(), texts()))
    assert all((part == 0).all(axis=1).any() for part in parts)


def test_the_end_of_a_long_text_is_read() -> None:
    text = Text.ending(np.arange(20), 3, max_length=8)
    assert (text.ids.tolist(), text.scored.tolist()) == (list(range(11, 20)), [6, 7, 8])
    assert Text.ending(np.arange(20), 15, max_length=8).scored.tolist() == list(range(1, 9))
    assert torch.is_grad_enabled()
