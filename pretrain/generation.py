"""Text that a model writes, token by token.

The keys and values of what was read are kept. When the context is full (the tokens that the model was trained to read
at once), its last half is read anew, as a document from its beginning.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pretrain.attention import documents
from pretrain.key_value_cache import KeyValueCache
from pretrain.model import Model
from pretrain.tokenizing.tokenizer import Tokenizer

log = logging.getLogger(__name__)

_CUT = "\ufffd"  # in place of a character of which bytes are missing


@dataclass(frozen=True)
class Sampling:
    """The choice of a token by its logits."""

    temperature: float = 0.8  # logits are divided by it; 0 takes the likeliest token
    top_p: float = 1.0  # only the likeliest tokens that have this probability together (Holtzman et al., 2020)

    def choose(self, logits_V: Tensor, generator: torch.Generator) -> int:
        """A token drawn by softmax(logits / temperature); the first of the likeliest ones where that is 0."""
        if self.temperature == 0:
            return int(logits_V.argmax())
        # Distances from the best one are at most 0: a tiny temperature makes no infinity of them.
        p_V = ((logits_V - logits_V.max()) / self.temperature).softmax(0)
        if self.top_p < 1:
            p_V, order_V = p_V.sort(descending=True, stable=True)
            p_V[1:].masked_fill_(p_V.cumsum(0)[:-1] >= self.top_p, 0)
            return int(order_V[torch.multinomial(p_V, 1, generator=generator)])
        return int(torch.multinomial(p_V, 1, generator=generator))


class Reader:
    """A model that reads one document piece by piece."""

    def __init__(self, model: Model, *, max_length: int, autocast: bool = False, cached: bool = True) -> None:
        """With `autocast` the model computes in bfloat16. Without `cached` each piece is read with all before it."""
        self._model, self._max_length, self._autocast, self._cached = model, max_length, autocast, cached
        self._ids: list[int] = []
        self._cache = KeyValueCache(len(model.layers))

    @torch.no_grad()
    def read(self, ids: list[int]) -> Tensor:
        """float64[V] on the CPU: the logits of the token that follows these ones, read after those before."""
        self._ids += ids
        if len(self._ids) > self._max_length:
            self._ids = self._ids[-max(1, self._max_length // 2) :]
            self._cache = KeyValueCache(len(self._model.layers))
        head_VC = self._model.head_VC
        device, first, end = head_VC.device, self._cache.length if self._cached else 0, len(self._ids)
        whole = documents(np.array([0, end], np.int32), end, device)
        # Compiled code would be compiled again for each length.
        with (
            torch.compiler.set_stance("force_eager"),
            torch.autocast(device.type, torch.bfloat16, enabled=self._autocast),
        ):
            hidden_BTC = self._model.hidden(
                torch.tensor([self._ids[first:]], device=device),
                torch.arange(first, end, device=device)[None],
                self._cache if self._cached else whole,
            )
        return (head_VC @ hidden_BTC[0, -1].to(head_VC.dtype)).double().cpu()


def continued(
    reader: Reader, prompt: list[int], sampling: Sampling, generator: torch.Generator, *, max_tokens: int, end: int
) -> Iterator[int]:
    """The tokens that follow the prompt: at most so many, up to the token `end`, which is left out.

    They end earlier where the model is broken: its logits are not finite.
    """
    piece = prompt
    for _ in range(max_tokens):
        logits_V = reader.read(piece)
        if not logits_V.isfinite().all():  # in a training the loss of the next step says so, with a remedy
            log.warning("event=text_ended: the model's logits are not finite")
            return
        token = sampling.choose(logits_V, generator)
        if token == end:
            return
        yield token
        piece = [token]


def as_text(tokenizer: Tokenizer, prompt: list[int], tokens: Iterator[int]) -> Iterator[str]:
    """The text of tokens that follow a prompt, in pieces of whole characters."""
    ids = list(prompt)
    written = len(tokenizer.decode(np.array(ids, np.uint32)))
    for token in tokens:
        ids.append(token)
        text = tokenizer.decode(np.array(ids, np.uint32))
        if not text.endswith(_CUT) and len(text) > written:
            yield text[written:]
            written = len(text)
    text = tokenizer.decode(np.array(ids, np.uint32))
    if len(text) > written:
        yield text[written:]
