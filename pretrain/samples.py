"""Text that the model writes while it is trained: a look at what the loss does not say.

Random numbers come from a generator of their own, so that training goes on as it would have, and each sample has the
same ones.
"""

import logging
from collections.abc import Iterator

import torch
from torch.distributed.tensor import DTensor

from pretrain.config import MonitorConfig
from pretrain.generation import Reader, Sampling, as_text, continued
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
        """`max_length` is the most tokens that the model reads at once."""
        self._config, self._tokenizer, self._max_length, self._seed = config, tokenizer, max_length, seed
        encoded = tokenizer.encode_batch(config.prompts, num_threads=1)
        self._prompts = [
            (text, [tokenizer.bos, *ids.tolist()]) for text, ids in zip(config.prompts, encoded, strict=True)
        ]

    def records(self, model: Model, step: int, *, autocast: bool) -> Iterator[Record]:
        """A record for each prompt; with `autocast` the model is read in bfloat16."""
        for text, prompt in self._prompts:
            generator = torch.Generator().manual_seed(self._seed)
            reader = Reader(model, max_length=self._max_length, autocast=autocast)
            ids = continued(
                reader,
                prompt,
                Sampling(self._config.temperature),
                generator,
                max_tokens=self._config.sample_tokens,
                end=self._tokenizer.eos,
            )
            sample = "".join(as_text(self._tokenizer, prompt, ids))
            yield {"step": step, "prompt": text, "sample": sample, "temperature": self._config.temperature}


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
