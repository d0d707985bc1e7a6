import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_model import uneven_batch

from pretrain.config import CheckpointConfig, load_config
from pretrain.journal import Clock, Journal
from pretrain.metrics import Record, read_records


def test_only_the_rank_that_leads_writes(train_file: Callable[..., Path], tmp_path: Path) -> None:
    config, told = load_config(train_file(), {}), list[Record]()
    (tmp_path / "out").mkdir()
    for is_leader in (False, True):
        with Journal(config, 0, told.append, is_leader=is_leader) as journal:
            journal.done({"step": 1})
            journal.evaluated(1, {"en": 2.5})
            journal.sync()
        assert (tmp_path / "out" / "train.toml").exists() == is_leader
    assert read_records(tmp_path / "out" / "metrics.jsonl") == [{"step": 1}]
    assert read_records(tmp_path / "out" / "held_out.jsonl") == [{"step": 1, "held_out_bits_per_byte": {"en": 2.5}}]
    assert len(told) == 2


def test_a_lap_ends_where_the_next_one_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    clock = Clock(CheckpointConfig(every_minutes=15), is_first=True)
    batches = clock.waits(iter([uneven_batch()] * 2))
    next(batches)
    next(batches)
    assert clock.lap(103.0) == (3.0, 0.0)
    assert clock.lap(108.0) == (5.0, 0.0)
    assert not clock.is_checkpoint_due()
    now = 161.0
    assert clock.is_checkpoint_due(), "the first one after a minute"
    clock.saved()
    now = 161.0 + 14.9 * 60
    assert not clock.is_checkpoint_due()
    now = 161.0 + 15 * 60
    assert clock.is_checkpoint_due()
