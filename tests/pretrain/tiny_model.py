"""A model of two layers in float64, and batches of packed documents for it."""

import numpy as np
import torch

from pretrain.attention import Documents, documents
from pretrain.config import DeviceConfig, ModelConfig, OptimizerConfig, TokenSourceConfig, TrainConfig
from pretrain.model import Model
from pretrain.optim import make_optimizer
from pretrain.order.batch import NO_LABEL, Batch
from pretrain.order.groups import Groups
from pretrain.parallel import spread_model
from pretrain.ranks import Ranks
from pretrain.step import Steps

CPU = torch.device("cpu")
CONFIG = ModelConfig(width=32, num_layers=2, num_heads=4, num_kv_heads=2, feed_forward_width=48, qk_norm=True)
SEGMENTS = [[5, 1, 7, 3], [16], [1, 15], [2, 6]]  # lengths in rows of 16; the rest of a row is unfilled
VOCAB = 50
TRAINING = TrainConfig(
    out="out",
    steps=8,
    sequence_length=16,
    batch_size=4,
    model=CONFIG,
    source={"s0": TokenSourceConfig(tokens="tokens")},
)


def make_model(**changes: object) -> Model:
    torch.manual_seed(0)
    return Model(CONFIG.model_copy(update=changes), VOCAB).double()


def positions_of(segments: list[list[int]], row_length: int = 16) -> np.ndarray:
    rows = [[*lengths, row_length - sum(lengths)] for lengths in segments]
    return np.array([np.concatenate([np.arange(n) for n in lengths]) for lengths in rows])


def documents_of(positions: np.ndarray, device: torch.device = CPU) -> Documents:
    starts = np.append(np.flatnonzero(positions == 0), positions.size).astype(np.int32)
    return documents(starts, positions.shape[1], device)


def hidden_states(model: Model, ids: torch.Tensor, positions: np.ndarray) -> torch.Tensor:
    return model.hidden(ids, torch.from_numpy(positions), documents_of(positions))


def batch_on(batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens, positions and labels."""
    tokens, positions, labels = map(torch.from_numpy, (batch.tokens_BT, batch.positions_BT, batch.labels_BT))
    return tokens, positions, labels


def uneven_batch() -> Batch:
    """Rows whose numbers of labels differ, so that a mean of micro-batch means would be wrong."""
    generator = np.random.default_rng(0)
    positions = positions_of(SEGMENTS)
    labels = generator.integers(0, VOCAB, positions.shape)
    for row, lengths in enumerate(SEGMENTS):
        labels[row, sum(lengths) :] = NO_LABEL
    tokens = generator.integers(0, VOCAB, positions.shape)
    starts = np.append(np.flatnonzero(positions == 0), positions.size)
    num_labels = (labels != NO_LABEL).sum(axis=1)
    num_segments, source = (positions == 0).sum(axis=1), np.array([0, 1, 1, 0])
    groups = np.repeat(source, num_segments)
    buffer = np.concatenate([tokens.ravel(), labels.ravel(), starts, groups]).astype(np.int32)
    tokens, labels = buffer[: 2 * positions.size].reshape(2, *positions.shape)
    starts, groups = np.split(buffer[2 * positions.size :], [len(starts)])
    return Batch(tokens, labels, starts, num_segments, num_labels, source, groups, buffer)


def accumulate(model: Model, batch: Batch, num_rows: int, num_sources: int = 2) -> torch.Tensor:
    """Add the gradient of the batch's mean loss; the sums of losses by source."""
    groups = Groups(tuple((f"s{i}", "") for i in range(num_sources)), np.arange(num_sources), ())
    spread = spread_model(model, DeviceConfig(precision="float64"), Ranks(), CPU)
    optimizer = make_optimizer(model, OptimizerConfig())
    return Steps(spread, optimizer, TRAINING, groups, Ranks(), num_rows).accumulate(batch)[1]
