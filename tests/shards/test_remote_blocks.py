"""Tokens of files in a store, through a cache of a few blocks."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from s3_server import Proxy
from token_folder import upload

from shards.atomic import write_bytes, write_json
from shards.block_hashes import BLOCK_BYTES
from shards.errors import RunError
from shards.object_store import ObjectStore
from shards.remote_blocks import LeastRecent
from shards.token_manifest import MANIFESTS, TOKENIZER, ShardManifest, token_folder, write_token_manifest
from shards.token_map import TokenMap
from shards.token_sink import TokenSink
from shards.tokens import HELD_OUT, TRAIN, TokenDocuments, token_schema

LENGTH, COUNT = 150_000, 20  # of a file's documents: 6 MB, two blocks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three shards of random tokens."""
    folder = tmp_path_factory.mktemp("tokens") / "web"
    write_bytes(folder / TOKENIZER, b"{}")
    generator, schema = np.random.default_rng(0), token_schema(60_000)
    for stem in "abc":
        files = {}
        for split, count in ((TRAIN, COUNT), (HELD_OUT, 0)):
            tokens = generator.integers(0, 60_000, count * LENGTH).astype(np.uint16)
            columns = {
                "text_hash": pa.array(range(count), pa.uint64()),
                "tokens": pa.LargeListArray.from_arrays(np.arange(0, len(tokens) + 1, LENGTH), tokens),
                "weight": pa.array([1] * count, pa.int64()),
                "masked": pa.array([[]] * count, pa.list_(pa.int64())),
                "id": pa.array([f"{stem}{i}" for i in range(count)]),
            }
            arrays = [
                columns[f.name] if f.name in columns else pa.array([0] * count, pa.int64()).cast(f.type) for f in schema
            ]
            with TokenSink(folder / split / f"{stem}.arrow", 60_000) as sink:
                sink.write(pa.RecordBatch.from_arrays(arrays, schema=schema))
            files[split] = sink.proof
        manifest = ShardManifest(input_sha256="", held_out_fraction=0.1, weight_column=None, files=files)
        write_json(folder / MANIFESTS / f"{stem}.json", manifest.model_dump())
    write_token_manifest(folder, 60_000, "abc")
    return folder


def read(tokens: TokenMap, position: int, length: int) -> np.ndarray:
    tokens.prepare(np.array([position]), np.array([length]))
    stretch = int(np.searchsorted(tokens.layout.first, position, side="right")) - 1
    start = int(tokens.addresses[stretch]) + 2 * (position - int(tokens.layout.first[stretch]))
    return np.ctypeslib.as_array((np.ctypeslib.ctypes.c_uint16 * length).from_address(start)).copy()


def held_bytes(tokens: TokenMap) -> int:
    return sum(os.fstat(copy.file.fileno()).st_blocks * 512 for copy in tokens._copies.values())


def test_any_tokens_are_those_of_the_object_and_the_copies_stay_small(folder: Path, s3: Proxy) -> None:
    upload(folder, f"{s3.folder}/web")
    local = TokenDocuments(folder, TRAIN)
    remote = TokenDocuments(token_folder(f"{s3.folder}/web"), TRAIN)
    assert remote.num_tokens.tolist() == local.num_tokens.tolist() == [LENGTH] * (3 * COUNT)
    assert remote.column("id") == local.column("id")
    assert remote.provenance(25) == local.provenance(25)
    assert remote.tokens(25, 7, 99).tolist() == local.tokens(25, 7, 99).tolist()
    remote.check_figures()
    tokens, oracle = TokenMap(remote.layout, remote.parts, 2, 3 * BLOCK_BYTES), local.token_map()
    s3.requests.clear()
    choose = np.random.default_rng(1)
    for position in choose.integers(0, 3 * COUNT * LENGTH - 100_000, 40).tolist():
        length = min(100_000, COUNT * LENGTH - position % (COUNT * LENGTH))  # a piece lies in one stretch
        assert np.array_equal(read(tokens, position, length), read(oracle, position, length))
        assert held_bytes(tokens) <= 3 * BLOCK_BYTES + 3 * 4096
    assert 6 < s3.requests["GET"] < 60
    fetched = s3.requests["GET"]
    assert np.array_equal(read(tokens, position, length), read(oracle, position, length))
    assert s3.requests["GET"] == fetched  # what was just used is here
    with pytest.raises(RunError, match=r"a batch needs 0\.03 GB of token shards at once; raise token_cache_gb above"):
        tokens.prepare(np.array([0, COUNT * LENGTH, 2 * COUNT * LENGTH]), np.array([COUNT * LENGTH] * 3))


def test_a_forked_process_is_refused(folder: Path, s3: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    upload(folder, f"{s3.folder}/web")
    remote = TokenDocuments(token_folder(f"{s3.folder}/web"), TRAIN)
    tokens = remote.token_map()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(RunError, match="a forked process reads no files of a store; start it by spawn"):
        read(tokens, 0, 1000)


def test_what_is_wrong_with_an_object_is_one_line_with_its_url(folder: Path, s3: Proxy) -> None:
    url = f"{s3.folder}/web"
    upload(folder, url)
    remote = TokenDocuments(token_folder(url), TRAIN)
    layout, parts = remote.layout, remote.parts
    data = (folder / TRAIN / "a.arrow").read_bytes()
    for wrong, message in (
        (data[:-1] + b"!", r"a\.arrow: bytes 4,194,304 to [\d,]+ are not as they were written; run the same"),
        (data[: BLOCK_BYTES + 5], rf"^{url}/train/a\.arrow: ends at byte 4,194,309 of [\d,]+; put it there again"),
    ):
        ObjectStore(url).write("train/a.arrow", wrong)
        with pytest.raises(RunError, match=message):
            read(TokenMap(layout, parts, 2), (COUNT - 1) * LENGTH, 1000)
    ObjectStore(url).delete(["train/a.arrow"])
    with pytest.raises(RunError, match=rf"^{url}/train/a\.arrow: no such bucket or object; check the address$"):
        read(TokenMap(layout, parts, 2), 0, 1000)


def test_the_least_recently_used_blocks_are_dropped() -> None:
    choose, cache = np.random.default_rng(0), LeastRecent(20, 6)
    held: set[int] = set()
    last_used: dict[int, int] = {}
    for time in range(300):
        needed = set(choose.integers(0, 20, choose.integers(1, 5)).tolist())
        dropped = set(cache.make_room(np.array(sorted(needed)), np.array(sorted(held), np.int64)).tolist())
        assert dropped <= held - needed
        assert len(dropped) == max(0, len(held | needed) - 6)
        kept = held - needed - dropped
        assert max((last_used[b] for b in dropped), default=0) <= min((last_used[b] for b in kept), default=time)
        last_used |= dict.fromkeys(needed, time)
        held = (held - dropped) | needed
