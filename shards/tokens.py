"""Token shards: documents as token ids, in files that training maps into memory.

    TOKENS/<source>/tokenizer.json               the tokenizer that made the ids; its sha256 names it everywhere
                    train/<shard>.arrow          one row a document: id, url, source, tokens, num_bytes, masked, weight
                    held-out/<shard>.arrow       documents that are never trained on, chosen by their ids
                    manifests/<shard>.json       written when both files of a shard are whole: the unit of resume
                    manifest.json                written last: every file of the last call, with its rows, tokens, bytes
                                                 and sha256

The files are uncompressed Arrow IPC, because compressed buffers cannot be mapped: a training row is then a few
slices of mapped memory. Token ids are uint16 while the vocabulary allows it. A document is <|bos|> text <|eos|>, so
every token of the text, the first one too, has a token before it that predicts it. Masked tokens are read by the
model and not learned; an epoch has each document as often as its weight says.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa

from shards.atomic import write_json
from shards.config import Config
from shards.errors import GristmillError, RunError, UserError
from shards.manifest import file_sha256
from shards.sink import ArrowSink, read_batches

TRAIN, HELD_OUT = "train", "held-out"
MANIFEST, MANIFESTS, TOKENIZER = "manifest.json", "manifests", "tokenizer.json"
MAX_WEIGHT = 1000  # of a document; more is a mistake, such as a count of copies in its place
VERSION = 2  # of the files' columns; 1 had neither masks nor weights
_REMEDY = "run the same `gristmill tokenize` again, which makes what is damaged anew"

_Manifest = TypeVar("_Manifest", bound=Config)


def token_schema(vocab_size: int) -> pa.Schema:
    ids = pa.uint16() if vocab_size <= 1 << 16 else pa.uint32()
    return pa.schema(
        [
            pa.field("id", pa.string()),
            pa.field("url", pa.string()),
            pa.field("source", pa.string()),
            pa.field("tokens", pa.large_list(ids)),
            pa.field("num_bytes", pa.int64()),  # UTF-8 bytes of the text, without those of masked tokens
            pa.field("masked", pa.list_(pa.int64())),  # first, after the last, … of `tokens`; ascending and disjoint
            pa.field("weight", pa.int64()),  # 0 … MAX_WEIGHT
        ]
    )


class TokenFile(Config):
    """What one token shard holds."""

    num_rows: int
    num_tokens: int
    num_masked_tokens: int
    num_epoch_tokens: int  # each document's as often as its weight says
    num_text_bytes: int  # without those of masked tokens
    num_file_bytes: int
    sha256: str

    @classmethod
    def of(cls, sink: ArrowSink, counts: dict[str, int]) -> "TokenFile":
        return cls(num_rows=sink.num_rows, num_file_bytes=sink.num_bytes, sha256=sink.sha256, **counts)


class ShardManifest(Config):
    """The proof that a text shard is tokenized, and from what."""

    version: int = VERSION
    input_sha256: str
    held_out_fraction: float
    weight_column: str | None  # of the text shard, that weights are from; None: every weight is 1
    files: dict[str, TokenFile]  # by split


class TokenManifest(Config):
    """All token shards of one source."""

    version: int = VERSION
    tokenizer_sha256: str
    vocab_size: int
    shards: dict[str, ShardManifest]  # by file-name stem, in order

    def digest(self, split: str) -> str:
        """Changes when a document of the split does, and with nothing else."""
        files = [shard.files[split].sha256 for shard in self.shards.values()]
        return hashlib.sha256("\n".join([self.tokenizer_sha256, *files]).encode()).hexdigest()


def finish(folder: Path, vocab_size: int, stems: Iterable[str]) -> TokenManifest:
    """Write `manifest.json` over these finished shards of the folder; others that lie there are not part of it."""
    manifest = TokenManifest(
        tokenizer_sha256=hashlib.sha256((folder / TOKENIZER).read_bytes()).hexdigest(),
        vocab_size=vocab_size,
        shards={stem: read_shard_manifest(folder / MANIFESTS / f"{stem}.json") for stem in sorted(stems)},
    )
    write_json(folder / MANIFEST, manifest.model_dump())
    return manifest


def read_shard_manifest(path: Path) -> ShardManifest:
    return _read(path, ShardManifest)


def read_manifest(folder: Path) -> TokenManifest:
    """The manifest of a finished token folder; anything else is the user's mistake."""
    path = folder / MANIFEST
    if path.exists():
        return _read(path, TokenManifest)
    if (folder / TOKENIZER).exists():
        raise UserError(f"{folder}: not finished; run the same `gristmill tokenize` again")
    sources = sorted(inner.parent.name for inner in folder.glob(f"*/{TOKENIZER}"))
    if sources:
        raise UserError(f"{folder}: holds several sources; name one of {', '.join(str(folder / s) for s in sources)}")
    raise UserError(f"{folder}: no token folder; make one with `gristmill tokenize SHARDS --tokenizer T --out TOKENS`")


def _read(path: Path, kind: type[_Manifest]) -> _Manifest:
    try:
        values = json.loads(path.read_bytes())
        if isinstance(values, dict) and values.get("version", 1) != VERSION:
            raise RunError("of another version of gristmill")
        return kind.parse(values, str(path))
    except (OSError, ValueError, GristmillError) as error:
        raise RunError(f"{path}: not a whole manifest ({error}); {_REMEDY}") from None


def is_whole(folder: Path, stem: str, manifest: ShardManifest) -> bool:
    """Whether the shard's files hold the very bytes that its manifest tells of."""
    return not any(_damage(folder / split / f"{stem}.arrow", file) for split, file in manifest.files.items())


def verify_tokens(folder: Path) -> None:
    """Read every file of a finished token folder and compare its sha256; about 1 GB/s a core."""
    files = [
        (folder / split / f"{stem}.arrow", file)
        for stem, shard in read_manifest(folder).shards.items()
        for split, file in shard.files.items()
    ]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        damages = [damage for damage in threads.map(lambda pair: _damage(*pair), files) if damage]
    if damages:
        more = f" and {len(damages) - 1} more files are damaged" if len(damages) > 1 else ""
        raise RunError(f"{damages[0]}{more}; {_REMEDY}")


def _damage(path: Path, file: TokenFile) -> str:
    """What is wrong with a token shard; empty where nothing is."""
    if damage := _size_damage(path, file):
        return damage
    try:
        found = file_sha256(path)
    except OSError as error:
        return f"{path}: cannot be read: {error.strerror}"
    return "" if found == file.sha256 else f"{path}: its sha256 is not the one in {MANIFEST}"


def _size_damage(path: Path, file: TokenFile) -> str:
    found = path.stat().st_size if path.exists() else 0
    expected = f"{file.num_file_bytes:,} bytes as {MANIFEST} says"
    return "" if found == file.num_file_bytes else f"{path}: expected {expected}, found {found:,}"


@dataclass(frozen=True)
class Provenance:
    """Where a document comes from."""

    id: str
    url: str
    source: str


class TokenDocuments:
    """The documents of one split of a token folder by index 0, 1, …: files by name, rows as they lie.

    Opening maps the files and reads offsets only; tokens are read when asked for. Sizes are compared with the manifest,
    contents are not: see `verify_tokens`.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        self.digest = self.manifest.digest(split)
        self._batches: list[pa.RecordBatch] = []
        for stem, shard in self.manifest.shards.items():
            path = folder / split / f"{stem}.arrow"
            if damage := _size_damage(path, shard.files[split]):
                raise RunError(f"{damage}; {_REMEDY}")
            self._batches += read_batches(path)
        self._first_row = np.cumsum([0] + [batch.num_rows for batch in self._batches])
        tokens = [batch["tokens"] for batch in self._batches]
        self._offsets = [np.asarray(column.offsets) for column in tokens]
        self._values = [np.asarray(column.values) for column in tokens]
        self.num_tokens = _concatenate([np.diff(offsets) for offsets in self._offsets])
        self.num_bytes = _concatenate([np.asarray(batch["num_bytes"]) for batch in self._batches])
        self.weights = _concatenate([np.asarray(batch["weight"]) for batch in self._batches])
        masked = [batch["masked"] for batch in self._batches]
        self._masked_offsets = [np.asarray(column.offsets) for column in masked]
        self._masked_values = [np.asarray(column.values) for column in masked]

    def __len__(self) -> int:
        return len(self.num_tokens)

    def tokens(self, document: int, start: int, end: int) -> np.ndarray:
        """uint16 or uint32[end - start]: a view of the mapped file."""
        batch, row = self._find(document)
        first = self._offsets[batch][row]
        return self._values[batch][first + start : first + end]

    def masked(self, document: int, start: int, end: int) -> list[tuple[int, int]]:
        """Ranges [first, last) of the tokens start … end - 1, counted from `start`, that are not learned."""
        batch, row = self._find(document)
        own = self._masked_values[batch][slice(*self._masked_offsets[batch][row : row + 2])]
        if not len(own):  # of most documents; what follows takes longer than reading their tokens
            return []
        inside = np.clip(own - start, 0, end - start).tolist()
        return [(first, last) for first, last in zip(inside[::2], inside[1::2], strict=True) if first < last]

    def provenance(self, document: int) -> Provenance:
        batch, row = self._find(document)
        columns = self._batches[batch]
        return Provenance(*(columns[name][row].as_py() for name in ("id", "url", "source")))

    def _find(self, document: int) -> tuple[int, int]:
        batch = int(np.searchsorted(self._first_row, document, side="right")) - 1
        return batch, document - int(self._first_row[batch])


def _concatenate(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.int64), *arrays])
