"""Log-likelihoods of parts of texts: what a model thinks of answers, and of whole documents.

Texts of any length lie one after the other in one row, and attention stays within each, so that nothing is padded. A
text that others share all of their input with is read once: the four letters of a question cost one pass.

Shapes: N tokens of the texts of a pass, P predictions among them, C model width, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pretrain.attention import documents
from pretrain.model import Model
from pretrain.ranks import Ranks

_TOKENS = 8192  # of a pass, or one text
_PREDICTIONS = 256  # whose logits are held at once


@dataclass(frozen=True)
class Text:
    """A text as tokens, some of which are scored."""

    ids: np.ndarray  # its beginning included
    scored: np.ndarray  # int64: indices in `ids`, from 1 on; they ascend

    @classmethod
    def ending(cls, ids: np.ndarray, count: int, max_length: int) -> "Text":
        """The last `count` tokens are scored, after as many before them as the model reads."""
        ids = ids[-(max_length + 1) :]
        return cls(ids, np.arange(max(1, len(ids) - count), len(ids)))


@torch.no_grad()
def log_likelihoods(
    model: Model, texts: Sequence[Text], *, autocast: bool = False, ranks: Ranks | None = None
) -> np.ndarray:
    """float64[texts, 2]: ln p of the scored tokens of each text, and how many of them were the likeliest.

    With `autocast` the model computes in bfloat16. Each of the ranks takes a part of the texts; all have the result.
    """
    ranks = ranks or Ranks()
    out = torch.zeros(len(texts), 2, dtype=torch.float64, device=model.head_VC.device)
    for number, group in enumerate(_passes(texts)):
        if number % ranks.world == ranks.rank:
            _score(model, texts, group, out, autocast)
    return ranks.sum(out).cpu().numpy()


def _passes(texts: Sequence[Text]) -> Iterator[list[list[int]]]:
    """Numbers of the texts of each pass: those of one input together, long inputs first."""
    by_input: dict[bytes, list[int]] = {}
    for number, text in enumerate(texts):
        by_input.setdefault(np.asarray(text.ids[:-1], np.uint32).tobytes(), []).append(number)
    group: list[list[int]] = []
    num_tokens = 0
    for key in sorted(by_input, key=len, reverse=True):
        length = len(key) // 4
        if group and num_tokens + length > _TOKENS:
            yield group
            group, num_tokens = [], 0
        group.append(by_input[key])
        num_tokens += length
    if group:
        yield group


def _score(model: Model, texts: Sequence[Text], group: list[list[int]], out: Tensor, autocast: bool) -> None:
    """Add the scores of the texts of a pass to `out`."""
    device = out.device
    inputs = [np.asarray(texts[same[0]].ids[:-1], np.int64) for same in group]
    starts = np.cumsum([0] + [len(one) for one in inputs])
    tokens_1N = torch.from_numpy(np.concatenate(inputs))[None].to(device)
    positions_1N = torch.from_numpy(np.concatenate([np.arange(len(one)) for one in inputs]))[None].to(device)
    within = documents(starts.astype(np.int32), max(map(len, inputs)), device)
    # Compiled code would be compiled again for each length.
    with torch.compiler.set_stance("force_eager"), torch.autocast(device.type, torch.bfloat16, enabled=autocast):
        hidden_NC = model.hidden(tokens_1N, positions_1N, within)[0]
    scored = [(number, start) for same, start in zip(group, starts, strict=False) for number in same]
    places = [texts[number].scored - 1 + start for number, start in scored]
    labels = [np.asarray(texts[number].ids)[texts[number].scored].astype(np.int64) for number, _ in scored]
    numbers = np.repeat([number for number, _ in scored], [len(one) for one in labels])
    place_P, label_P, number_P = (
        torch.from_numpy(x).to(device) for x in (np.concatenate(places), np.concatenate(labels), numbers)
    )
    head_VC = model.head_VC
    for own in torch.arange(len(place_P), device=device).split(_PREDICTIONS):
        logits = hidden_NC[place_P[own]].to(head_VC.dtype) @ head_VC.T
        log_p = logits.log_softmax(-1).gather(1, label_P[own, None])[:, 0]
        is_likeliest = logits.argmax(-1) == label_P[own]
        out.index_add_(0, number_P[own], torch.stack([log_p, is_likeliest], dim=1).double())
