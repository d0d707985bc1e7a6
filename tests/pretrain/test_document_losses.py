"""Losses by document: those of the whole evaluation, taken apart."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from training_runs import evaluations, train

from pretrain.document_losses import document_nats
from pretrain.trained_model import TrainedModel, load_trained
from shards.tokens import HELD_OUT, TokenDocuments


@pytest.fixture
def trained(train_file: Callable[..., Path], tmp_path: Path) -> TrainedModel:
    train(train_file(optimizer={"lr": 1e-2, "warmup_steps": 4, "ema": 0.5}, evaluate={"max_tokens": 1_000_000}))
    return load_trained(tmp_path / "out")


def test_documents_sum_to_the_bits_per_byte_of_the_training(trained: TrainedModel, tokens: Path) -> None:
    documents = TokenDocuments(tokens / "ru", HELD_OUT)
    chosen = np.arange(len(documents))
    nats, counts = document_nats(trained.spread, documents, chosen, row_length=64, num_rows=5)
    assert counts.tolist() == (documents.num_tokens - 1).tolist()
    whole = nats.sum() / math.log(2) / documents.num_bytes.sum()
    # Measured by the averaged weights, which `load_trained` takes.
    assert whole == pytest.approx(evaluations(trained.folder)[-1]["held_out_bits_per_byte"]["ru"], rel=1e-5)


def test_a_document_has_the_loss_that_it_has_alone(trained: TrainedModel, tokens: Path) -> None:
    documents = TokenDocuments(tokens / "en", HELD_OUT)
    short = np.flatnonzero(documents.num_tokens <= 64)[::-1]
    assert len(short) > 3
    nats, _ = document_nats(trained.spread, documents, short, row_length=64, num_rows=3)
    for number, found in zip(short.tolist(), nats.tolist(), strict=True):
        ids = torch.tensor(documents.tokens(number, 0, int(documents.num_tokens[number])).astype(np.int64))
        alone, _ = document_nats(trained.spread, documents, np.array([number]), row_length=len(ids), num_rows=1)
        assert found == pytest.approx(float(alone[0]), rel=1e-5)


def test_no_documents_have_no_losses(trained: TrainedModel, tokens: Path) -> None:
    documents = TokenDocuments(tokens / "en", HELD_OUT)
    nats, counts = document_nats(trained.spread, documents, np.zeros(0, np.int64), row_length=64, num_rows=3)
    assert len(nats) == len(counts) == 0
