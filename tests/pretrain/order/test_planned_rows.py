import logging
import os
import shutil
import socket
import subprocess
import sys
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


OPEN = """
import sys
from pathlib import Path
from pretrain.config import load_config
from pretrain.order import planned_rows
from pretrain.order.loader import Loader
from pretrain.order.plan import keep_plan, make_plan
from pretrain.ranks import joined

make = planned_rows._make
def counted(config):
    print("made", flush=True)
    return make(config)
planned_rows._make = counted
with joined() as ranks:
    with ranks.leader_first():
        plan = keep_plan(make_plan(load_config(Path(sys.argv[1]), {})))
    print(f"{Loader(plan, ranks.rank, ranks.world).batch(3).checksum():x}")
"""


def test_of_ranks_that_start_together_one_makes_the_rows_and_the_others_map_them(
    train_file: Callable[..., Path],
) -> None:
    path, world = train_file(batch_size=6), 3
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    of_all = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(world)}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, path], env=of_all | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True
        )
        for rank in range(world)
    ]
    said = [rank.communicate()[0].split() for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0] * world
    assert sorted(len(words) for words in said) == [1] * (world - 1) + [2], "one of them made the rows"
    checksum = sum(int(words[-1], 16) for words in said) % (1 << 64)
    assert checksum == Loader(make_plan(load_config(path, {}))).batch(3).checksum()
