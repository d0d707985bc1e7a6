"""Token shards: documents as token ids, in files that training maps into memory.

    TOKENS/<source>/tokenizer.json               the tokenizer that made the ids; its sha256 names it everywhere
                    train/<shard>.arrow          one row a document: id, url, source, text_hash, tokens, …
                    held-out/<shard>.arrow       documents that are never trained on, chosen by their texts
                    manifests/, manifest.json    proofs (`shards.token_manifest`)

The files are uncompressed Arrow IPC, because compressed buffers cannot be mapped: a training row is a few slices of
mapped memory. Token ids are uint16 while the vocabulary allows it. A document is <|bos|> text <|eos|>, so every token
of the text, the first one too, has a token before it that predicts it. Masked tokens are read by the model and not
learned. An epoch has each document as often as its weight says.
"""

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from shards import mirror
from shards.errors import RunError
from shards.sink import mapped_batches
from shards.token_figures import FiguresHasher
from shards.token_manifest import MANIFEST, REMEDY, read_token_manifest, size_damage
from shards.token_map import TokenLayout, TokenMap, arrow_layout, token_parts

TRAIN, HELD_OUT = "train", "held-out"  # the splits
UNKNOWN = -1  # in `ledger_row` and `warc_offset`
MAX_WEIGHT = 1000  # of a document; a larger value in a column of weights is a mistake


def item_bytes(vocab_size: int) -> int:
    """Bytes of a token id: 2 or 4."""
    return 2 if vocab_size <= 1 << 16 else 4


def token_schema(vocab_size: int) -> pa.Schema:
    """The columns of a token shard, one row a document."""
    ids = pa.uint16() if item_bytes(vocab_size) == 2 else pa.uint32()
    return pa.schema(
        [
            pa.field("id", pa.string()),
            pa.field("url", pa.string()),
            pa.field("source", pa.string()),
            pa.field("text_hash", pa.uint64()),  # equal for equal texts; the split follows from it
            pa.field("tokens", pa.large_list(ids)),
            pa.field("num_bytes", pa.int64()),  # UTF-8 bytes of the text, without those of masked tokens
            pa.field("masked", pa.list_(pa.int64())),  # start, end, … in tokens; ranges ascend and are disjoint
            pa.field("weight", pa.int64()),  # 0 … MAX_WEIGHT
            pa.field("bucket", pa.string()),  # of quality, say; "" where none is known
            pa.field("unit", pa.string()),  # the stem of the text shard
            pa.field("ledger_row", pa.int64()),  # of the run's ledger of that unit
            pa.field("warc_file", pa.string()),  # of the document's record; "" where it is not known
            pa.field("warc_offset", pa.int64()),  # byte of the file at which the record begins
        ]
    )


@dataclass(frozen=True)
class Provenance:
    """The origin of a document: columns of its row."""

    id: str
    url: str
    source: str
    bucket: str
    unit: str
    ledger_row: int
    warc_file: str
    warc_offset: int


class TokenDocuments:
    """The documents of one split of a token folder by index 0, 1, …: files by name, rows in their order.

    Opening maps the files and reads offsets only; tokens are read when they are asked for. Files of a store are fetched
    one after the other. Sizes are compared with the
    manifest and contents are not (`shards.token_manifest.verify_tokens` does that).

    num_tokens    int64[documents], <|bos|> and <|eos|> included
    num_bytes     int64[documents]: UTF-8 bytes of the text, without those of masked tokens
    weights       int64[documents], each 0 … MAX_WEIGHT
    digest        changes when a document of the split does
    """

    def __init__(self, folder: Path, split: str) -> None:
        """Open the split; UserError where `folder` is not a finished token folder, RunError where it is damaged."""
        self.folder = folder
        self.manifest = read_token_manifest(folder)
        self.digest = self.manifest.digest(split)
        self.parts = token_parts(folder, split, self.manifest)
        self._opened: dict[int, tuple[int, list[pa.RecordBatch]]] = {}
        self._first_row = np.cumsum([0] + [part.proof.num_rows for part in self.parts])
        figures: list[list[np.ndarray]] = [[], [], []]
        for number in range(len(self.parts)):
            for batch in self._open(number)[1]:
                of_batch = (np.diff(np.asarray(batch["tokens"].offsets)), batch["num_bytes"], batch["weight"])
                for found, column in zip(figures, of_batch, strict=True):
                    found.append(np.asarray(column))
        self.num_tokens, self.num_bytes, self.weights = map(_concatenate, figures)

    def _open(self, number: int) -> tuple[int, list[pa.RecordBatch]]:
        """(address, record batches) of a file. Of files in a store only the last one stays open."""
        if number not in self._opened:
            part = self.parts[number]
            if damage := size_damage(part.path, part.proof):
                raise RunError(f"{damage}; {REMEDY}")
            if mirror.is_mirrored(part.path):
                self._opened.clear()
            self._opened[number] = mapped_batches(part.path)
        return self._opened[number]

    def __len__(self) -> int:
        return len(self.num_tokens)

    @cached_property
    def layout(self) -> TokenLayout:
        """Where the tokens lie, in documents one after the other."""
        layouts = []
        for number in range(len(self.parts)):
            base, batches = self._open(number)
            layouts.append(arrow_layout([batches], [base]))
        return TokenLayout.joined(layouts, [1] * len(layouts))

    @cached_property
    def first_token(self) -> np.ndarray:
        """int64[documents + 1]: the position of each document's first token among all of them."""
        return np.concatenate([[0], np.cumsum(self.num_tokens)])

    def token_map(self) -> TokenMap:
        """The tokens as one array."""
        return TokenMap(self.layout, self.parts, item_bytes(self.manifest.vocab_size))

    def column(self, name: str) -> pa.ChunkedArray:
        """A column of all documents."""
        schema = token_schema(self.manifest.vocab_size)
        columns = []
        for number, part in enumerate(self.parts):
            of_file = [batch[name] for batch in self._open(number)[1]]
            # With the empty slice Arrow copies, so that no column holds a file of a store.
            columns += [pa.concat_arrays([c, c[:0]]) for c in of_file] if mirror.is_mirrored(part.path) else of_file
        return pa.chunked_array(columns, schema.field(name).type)

    def check_figures(self) -> None:
        """RunError where the figures of a file, all that is read here but tokens, are not those that were written."""
        for number, part in enumerate(self.parts):
            hasher = FiguresHasher()
            for batch in self._open(number)[1]:
                hasher.update(batch)
            if hasher.hexdigest() != part.proof.figures_xxh3:
                raise RunError(f"{part.path}: its figures of documents are not those in {MANIFEST}; {REMEDY}")

    def tokens(self, document: int, start: int, end: int) -> np.ndarray:
        """uint16 or uint32[end - start]: the tokens [start, end) as a view of the mapped file."""
        rows, row = self._find(document)
        tokens: np.ndarray = rows["tokens"][row].values.to_numpy()[start:end]
        return tokens

    def masked(self, document: int, start: int, end: int) -> list[tuple[int, int]]:
        """Ranges [first, last) of the tokens [start, end) that are not learned, counted from `start`."""
        rows, row = self._find(document)
        inside = np.clip(rows["masked"][row].values.to_numpy() - start, 0, end - start).tolist()
        return [(first, last) for first, last in zip(inside[::2], inside[1::2], strict=True) if first < last]

    def provenance(self, document: int) -> Provenance:
        """The origin of the document with that index."""
        rows, row = self._find(document)
        return Provenance(*(rows[field.name][row].as_py() for field in fields(Provenance)))

    def _find(self, document: int) -> tuple[pa.RecordBatch, int]:
        """(its record batch, row there)."""
        number = int(np.searchsorted(self._first_row, document, side="right")) - 1
        row = document - int(self._first_row[number])
        for batch in self._open(number)[1]:
            if row < batch.num_rows:
                return batch, row
            row -= batch.num_rows
        raise IndexError(document)


def _concatenate(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.int64), *arrays])
