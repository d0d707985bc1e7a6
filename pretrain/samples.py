"""Text that the model writes while it is trained: a look at what the loss does not say.

Each token is chosen after a pass over all tokens before it, which is slow and simple. Random numbers come from a
generator of their own, so that training goes on as it would have, and each sample has the same ones.
"""

import logging
from collections.abc import Iterator

import numpy as np
import torch
from torch.distributed.tensor import DTensor

from pretrain.attention import documents
from pretrain.config import MonitorConfig
from pretrain.metrics import Record
from pretrain.model import Model
from pretrain.order.plan import Plan
from pretrain.parallel import SpreadModel
from pretrain.tokenizing.tokenizer import Tokenizer
from shards.token_manifest import TOKENIZER

log = logging.getLogger(__name__)


class Sampler:
    """Continues the prompts of the settings."""

    def __init__(self, config: MonitorConfig, tokenizer: Tokenizer, *, max_length: int, seed: int) -> None:
        """`max_length` is the most tokens that the model reads; earlier ones are left out."""
        self._config, self._tokenizer, self._max_length, self._seed = config, tokenizer, max_length, seed
        encoded = tokenizer.encode_batch(config.prompts, num_threads=1)
        self._prompts = [
            (text, [tokenizer.bos, *ids.tolist()]) for text, ids in zip(config.prompts, encoded, strict=True)
        ]

    def records(self, model: Model, step: int, *, autocast: bool) -> Iterator[Record]:
        """A record for each prompt; with `autocast` the model is read in bfloat16."""
        for text, prompt in self._prompts:
            generator = torch.Generator().manual_seed(self._seed)
            ids = self._continued(model, prompt, generator, autocast)
            sample = self._tokenizer.decode(np.array(ids, np.uint32))
            yield {"step": step, "prompt": text, "sample": sample, "temperature": self._config.temperature}

    def _continued(self, model: Model, prompt: list[int], generator: torch.Generator, autocast: bool) -> list[int]:
        """The tokens that follow the prompt, up to the end of the document, which is left out.

        They end earlier where the model is broken: its logits are not finite.
        """
        ids = list(prompt)
        for _ in range(self._config.sample_tokens):
            logits_V = next_logits(model, ids[-self._max_length :], autocast=autocast)
            if not logits_V.isfinite().all():  # which the loss of the next step says, with a remedy
                log.warning("event=sample_ended: the model's logits are not finite")
                break
            token = choose(logits_V, self._config.temperature, generator)
            if token == self._tokenizer.eos:
                break
            ids.append(token)
        return ids[len(prompt) :]


@torch.no_grad()
def next_logits(model: Model, ids: list[int], *, autocast: bool = False) -> torch.Tensor:
    """float64[V] on the CPU: the logits of the token that follows `ids`, a document from its beginning."""
    head_VC = model.head_VC
    device, T = head_VC.device, len(ids)
    tokens_BT = torch.tensor([ids], device=device)
    of_row = documents(np.array([0, T], np.int32), T, device)
    # Compiled code would be compiled again for each length.
    with torch.compiler.set_stance("force_eager"), torch.autocast(device.type, torch.bfloat16, enabled=autocast):
        hidden_BTC = model.hidden(tokens_BT, torch.arange(T, device=device)[None], of_row)
    return head_VC.double().cpu() @ hidden_BTC[0, -1].double().cpu()


def choose(logits_V: torch.Tensor, temperature: float, generator: torch.Generator) -> int:
    """A token drawn by softmax(logits / temperature); the first of the likeliest ones where that is 0."""
    if temperature == 0:
        return int(logits_V.argmax())
    below_best_V = (logits_V - logits_V.max()) / temperature  # at most 0: a tiny temperature makes no infinity of it
    return int(torch.multinomial(below_best_V.softmax(0), 1, generator=generator))


def sampler_of(plan: Plan, spread: SpreadModel) -> Sampler | None:
    """What writes samples of text; None where none are asked for, or no rank has the whole model."""
    config = plan.config
    if config.monitor.sample_every is None:
        return None
    if isinstance(spread.model.head_VC, DTensor):
        log.warning("event=no_samples: each rank has a part of the model (FSDP2), and samples need the whole")
        return None
    tokenizer = Tokenizer(plan.sources[0].folder / TOKENIZER)
    return Sampler(config.monitor, tokenizer, max_length=config.sequence_length, seed=config.seed)
