"""Exports, read here by the letter of their formats and, where they are installed, by the libraries themselves."""

import json
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xxhash
from command import gristmill
from token_folder import DOCUMENTS, write_token_folder

from pretrain.interop import mds
from pretrain.interop.token_export import Format, export_tokens
from shards.errors import RunError, UserError
from shards.sink import read_table
from shards.tokens import HELD_OUT, TRAIN, TokenDocuments

ROOT = Path(__file__).parents[3]
PEERS = ROOT / ".venv-peers-data" / "bin" / "python"
EPOCH = [(id_, tokens, masked) for of in DOCUMENTS.values() for id_, tokens, masked, n in of for _ in range(n)]

with_peers = pytest.mark.skipif(not PEERS.exists(), reason="`make test-interop` installs the libraries that read these")


def read_megatron(prefix: Path) -> tuple[list[list[int]], np.dtype]:
    data = prefix.with_suffix(".idx").read_bytes()
    head = "<9sQBQQ"
    magic, version, code, count, num_bounds = struct.unpack_from(head, data)
    assert (magic, version, num_bounds) == (b"MMIDIDX\0\0", 1, count + 1)
    at = struct.calcsize(head)
    lengths = np.frombuffer(data, "<i4", count, at)
    first = np.frombuffer(data, "<i8", count, at + 4 * count)
    assert np.frombuffer(data, "<i8", offset=at + 12 * count).tolist() == list(range(count + 1))
    kind = np.dtype({4: "<i4", 8: "<u2"}[code])
    ids = np.fromfile(prefix.with_suffix(".bin"), kind)
    assert len(ids) == lengths.sum()
    starts = first // kind.itemsize
    return [ids[s : s + n].tolist() for s, n in zip(starts, lengths, strict=True)], kind


def read_mds(folder: Path) -> list[dict[str, Any]]:
    samples = []
    for shard in json.loads((folder / "index.json").read_bytes())["shards"]:
        data = (folder / shard["raw_data"]["basename"]).read_bytes()
        assert len(data) == shard["raw_data"]["bytes"]
        assert xxhash.xxh3_64_hexdigest(data) == shard["raw_data"]["hashes"]["xxh3_64"]
        (count,) = np.frombuffer(data, "<u4", 1)
        assert count == shard["samples"]
        bounds = np.frombuffer(data, "<u4", count + 1, 4).tolist()
        for start in bounds[:-1]:
            sizes = np.frombuffer(data, "<u4", len(shard["column_names"]), start).tolist()
            at, sample = start + 4 * len(sizes), {}
            for name, kind, size in zip(shard["column_names"], shard["column_encodings"], sizes, strict=True):
                value, at = data[at : at + size], at + size
                if kind == "str":
                    sample[name] = value.decode()
                elif kind == "json":
                    sample[name] = json.loads(value)
                else:
                    width = 1 << (value[0] & 3)
                    length = int.from_bytes(value[1 : 1 + width], "little")
                    sample[name] = np.frombuffer(value, kind.partition(":")[2], length, 1 + width).tolist()
            samples.append(sample)
        assert at == len(data) == bounds[-1]
    return samples


def by_library(*words: str | Path) -> Any:
    command = [PEERS, ROOT / "benchmarks" / "peers" / "interop.py", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("vocab_size", "kind"), [(300, "<u2"), (65_536, "<u2"), (65_537, "<i4")])
def test_megatron_has_each_document_as_often_as_an_epoch(tmp_path: Path, vocab_size: int, kind: str) -> None:
    folder = write_token_folder(tmp_path / "web", vocab_size)
    exported = export_tokens(folder, tmp_path / "to", "megatron")
    documents, found = read_megatron(tmp_path / "to" / TRAIN)
    assert documents == [tokens for _, tokens, _ in EPOCH]
    assert found == kind
    assert exported.num_documents == {TRAIN: len(EPOCH)}  # the held-out part is empty, and left out
    assert exported.num_unmasked == 5
    assert not list((tmp_path / "to").glob(f"{HELD_OUT}.*"))


@pytest.mark.parametrize("vocab_size", [300, 65_537])
def test_mds_has_the_columns_of_each_document(tmp_path: Path, vocab_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mds, "SHARD_BYTES", 500)
    folder = write_token_folder(tmp_path / "web", vocab_size)
    export_tokens(folder, tmp_path / "to", "mds")
    samples = read_mds(tmp_path / "to" / TRAIN)
    assert [(s["id"], s["tokens"], s["masked"]) for s in samples] == EPOCH
    assert {(s["source"], s["bucket"]) for s in samples} == {("web", "")}
    assert [s["url"] for s in samples] == [f"https://mill.example/{id_}" for id_, *_ in EPOCH]
    assert len(list((tmp_path / "to" / TRAIN).glob("*.mds"))) > 1


@pytest.mark.parametrize("format", ["megatron", "mds"])
def test_both_parts_of_a_real_folder_go_along_and_a_rerun_gives_the_same_bytes(
    tmp_path: Path, tokens: Path, format: Format
) -> None:
    to = tmp_path / "to"
    exported = export_tokens(tokens / "ru", to, format)
    for split in (TRAIN, HELD_OUT):
        documents = TokenDocuments(tokens / "ru", split)
        ours = [documents.tokens(i, 0, n).tolist() for i, n in enumerate(documents.num_tokens.tolist())]
        theirs = read_megatron(to / split)[0] if format == "megatron" else [s["tokens"] for s in read_mds(to / split)]
        assert theirs == ours
        assert exported.num_documents[split] == len(ours) > 0
    assert (to / "tokenizer.json").read_bytes() == (tokens / "ru" / "tokenizer.json").read_bytes()
    before = files(to)
    for path in to.rglob("*"):  # as a kill leaves it, and as a longer export would have left it
        if path.suffix in (".bin", ".mds"):
            path.write_bytes(b"half")
    if format == "mds":
        (to / TRAIN / "shard.00007.mds").write_bytes(b"of a longer one")
    export_tokens(tokens / "ru", to, format)
    assert files(to) == before


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path, tokens: Path) -> None:
    export_tokens(tokens / "ru", tmp_path / "to", "mds")
    for source, format in (("en", "mds"), ("ru", "megatron")):
        with pytest.raises(UserError, match=r"to: holds other tokens or another format, as export\.json says; choose"):
            export_tokens(tokens / source, tmp_path / "to", format)  # type: ignore[arg-type]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    with pytest.raises(UserError, match="other: holds other files; choose another --to"):
        export_tokens(tokens / "ru", tmp_path / "other", "mds")


def test_damaged_tokens_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    folder = write_token_folder(tmp_path / "web")
    path = folder / TRAIN / "a.arrow"
    data = path.read_bytes()
    for at in (len(data) // 2, len(data) - 40):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(RunError, match=r"a\.arrow: bytes 0 to [\d,]+ are not as they were written; run the same"):
            export_tokens(folder, tmp_path / "to", "mds")
    path.write_bytes(data[:-9])
    with pytest.raises(RunError, match=r"a\.arrow: expected [\d,]+ bytes as manifest\.json says, found [\d,]+; run"):
        export_tokens(folder, tmp_path / "to", "megatron")
    assert files(tmp_path / "to") == {}


def test_the_command_says_what_it_wrote_and_which_masks_are_lost(tmp_path: Path) -> None:
    folder = write_token_folder(tmp_path / "web")
    done = gristmill("export-tokens", folder, "--to", tmp_path / "to", "--format", "megatron")
    assert done.stdout.splitlines() == [
        f"wrote {tmp_path / 'to'}: 4 documents train",
        "5 masked tokens are learned there, since megatron knows no masks",
    ]


@with_peers
@pytest.mark.slow
def test_megatron_core_reads_the_export_and_writes_the_same_bytes(tmp_path: Path, tokens: Path) -> None:
    for name, folder in (("narrow", tokens / "ru"), ("wide", write_token_folder(tmp_path / "web", 70_000))):
        to = tmp_path / name
        export_tokens(folder, to, "megatron")
        found = by_library("megatron", to / TRAIN, tmp_path / f"{name}-again")
        assert [sequence for document in found["documents"] for sequence in document] == read_megatron(to / TRAIN)[0]
        assert {len(document) for document in found["documents"]} == {1}
        assert found["type"] == {"narrow": "uint16", "wide": "int32"}[name]
        for suffix in (".bin", ".idx"):
            ours = (to / TRAIN).with_suffix(suffix).read_bytes()
            assert ours == (tmp_path / f"{name}-again").with_suffix(suffix).read_bytes()


@with_peers
@pytest.mark.slow
def test_mosaicml_streaming_reads_the_export_and_writes_the_same_bytes(tmp_path: Path, tokens: Path) -> None:
    export_tokens(tokens / "ru", tmp_path / "to", "mds")
    for split in (TRAIN, HELD_OUT):
        again = tmp_path / f"again-{split}"
        assert by_library("mds", tmp_path / "to", split, again) == read_mds(tmp_path / "to" / split)
        assert files(again) == files(tmp_path / "to" / split)


@with_peers
@pytest.mark.slow
@pytest.mark.parametrize("library", ["datasets", "polars", "duckdb"])
def test_text_shards_and_token_shards_are_opened_as_they_are(
    tmp_path: Path, run_folder: Path, tokens: Path, library: str
) -> None:
    for folder in (run_folder / "shards" / "ru", tokens / "ru" / TRAIN):
        shards = sorted(folder.glob("*.arrow"))
        rows = [row for shard in shards for row in read_table(shard).to_pylist()]
        assert by_library(library, *([tmp_path] if library == "datasets" else []), *shards) == rows
