import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pretrain.config import load_config
from pretrain.order.loader import Loader
from pretrain.order.plan import keep_plan, make_plan
from shards import tokens as shards_tokens
from shards.errors import RunError


def batches(path: Path) -> list[bytes]:
    loader = Loader(make_plan(load_config(path, {})))
    return [loader.batch(step).buffer.tobytes() for step in range(12)]


def test_rows_that_are_kept_are_mapped_and_give_the_same_batches(
    train_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = train_file()
    made = batches(path)
    kept = keep_plan(make_plan(load_config(path, {})))
    file = tmp_path / "out" / "plan.bin"
    num_segments, num_rows = len(kept.planned.rows.position), kept.planned.rows.num_rows
    assert file.stat().st_size < 16 * num_segments + 8 * num_rows + 2000
    before = file.read_bytes()
    with monkeypatch.context() as context:  # neither figures nor tokens of documents are read to open them
        context.setattr(shards_tokens, "mapped_batches", lambda _: pytest.fail("read"))
        assert batches(path) == made
        assert keep_plan(make_plan(load_config(path, {}))).planned.is_kept
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"sequence_length": 65}, "holds the rows of other token folders"), ({}, "is not as it was written")],
)
def test_a_file_of_another_plan_or_a_damaged_one_is_made_anew_with_a_line(
    train_file: Callable[..., Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, object],
    message: str,
) -> None:
    expected = batches(train_file())
    keep_plan(make_plan(load_config(train_file(**changes), {})))
    file = tmp_path / "out" / "plan.bin"
    if not changes:
        data = bytearray(file.read_bytes())
        data[-100] ^= 1
        file.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert batches(train_file()) == expected
    assert len(caplog.records) == 1
    assert message in caplog.text
    assert "\n" not in caplog.records[0].getMessage()
    assert keep_plan(make_plan(load_config(train_file(), {}))).planned.is_kept
    assert batches(train_file()) == expected


def test_damaged_figures_of_documents_are_found_before_rows_are_made_of_them(
    train_file: Callable[..., Path], tmp_path: Path, tokens: Path
) -> None:
    shutil.copytree(tokens / "en", tmp_path / "en")
    path = train_file(source={"en": {"tokens": str(tmp_path / "en")}})
    planned = make_plan(load_config(path, {}))
    shard = planned.sources[0].documents.parts[1].path
    data = shard.read_bytes()
    num_bytes = planned.sources[0].documents.num_bytes[-20:].astype("<i8").tobytes()
    at = data.index(num_bytes)
    shard.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(RunError, match=rf"{shard.name}: its figures of documents are not those in manifest\.json; run"):
        make_plan(load_config(path, {}))
