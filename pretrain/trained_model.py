"""The model that a training has made, for what comes after it: the averaged weights where it averages them."""

from dataclasses import dataclass
from pathlib import Path

import torch

from pretrain.checkpoint import Checkpoints
from pretrain.config import TrainConfig
from pretrain.model import Model
from pretrain.optim import make_optimizer
from pretrain.order.plan import load_training
from pretrain.parallel import SpreadModel, choose_device, spread_model
from pretrain.ranks import Ranks
from pretrain.state import CHECKPOINTS, TrainState
from shards.errors import UserError
from shards.token_manifest import TOKENIZER, read_token_manifest

_TOKENS_AT_ONCE = 1 << 14  # through the model without a gradient


@dataclass(frozen=True)
class TrainedModel:
    """A model of the newest checkpoint of its training."""

    folder: Path
    config: TrainConfig
    state: TrainState
    spread: SpreadModel
    tokenizer: Path

    @property
    def num_rows(self) -> int:
        """Rows that go through the model at once."""
        return max(1, _TOKENS_AT_ONCE // self.config.sequence_length)


def load_trained(folder: Path) -> TrainedModel:
    """The model of a training, of its newest checkpoint that loads.

    UserError for a folder of no training and for one that has no checkpoint yet; RunError where none loads.
    """
    config = load_training(folder)
    source = next(iter(config.source.values())).folder
    with torch.device("meta"):
        model = Model(config.model, read_token_manifest(source).vocab_size, config.optimizer.z_loss)
    spread = spread_model(model, config.device, Ranks(), choose_device(config.device.kind, Ranks()))
    optimizer = make_optimizer(model, config.optimizer)
    with Checkpoints(Path(config.out) / CHECKPOINTS, model, optimizer, config.checkpoint) as checkpoints:
        state = checkpoints.load_newest()
    if state is None:
        raise UserError(f"{folder}: has no checkpoint yet; `gristmill pretrain` makes one")
    with optimizer.averaged():
        weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(weights)
    return TrainedModel(folder, config, state, spread, source / TOKENIZER)
