"""MosaicML Streaming's MDS, version 2: shards of samples, each with the columns of a document, and `index.json`.

    shard.00000.mds     samples u32 │ first bytes u32, and the end │ columns as JSON │ samples
    a sample            bytes of each column u32 │ columns in the order of their names

Little-endian, as `MDSWriter` of the library writes it, with xxh3 of each shard. `masked` has the ranges of tokens that
are not learned.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from pretrain.interop.documents import Documents
from shards.atomic import atomic_file, write_bytes

SHARD_BYTES = 1 << 26  # of a shard at most, if it has more than one sample: the library's default
_TYPES = {2: "uint16", 4: "uint32"}  # by the bytes of an id
_STRINGS = ("bucket", "id", "source", "url")


def write(to: Path, split: str, documents: Documents) -> None:
    """Write the documents of a split; the index appears last."""
    folder = to / split
    index = folder / "index.json"
    index.unlink(missing_ok=True)
    kind = np.dtype(_TYPES[documents.item_bytes])
    columns = dict.fromkeys(_STRINGS, "str") | {"masked": "json", "tokens": f"ndarray:{kind.name}"}
    about = {
        "version": 2,
        "format": "mds",
        "compression": None,
        "hashes": ["xxh3_64"],
        "size_limit": SHARD_BYTES,
        "column_names": sorted(columns),
        "column_encodings": [columns[name] for name in sorted(columns)],
        "column_sizes": [None] * len(columns),
    }
    header = json.dumps(about, sort_keys=True).encode()
    shards = []
    for number, samples in enumerate(_shards(_samples(documents, kind), len(header))):
        name = f"shard.{number:05}.mds"
        shards.append(about | {"samples": len(samples), "raw_data": _write_shard(folder / name, samples, header)})
    for path in folder.glob("shard.*.mds"):
        if int(path.name.split(".")[1]) >= len(shards):
            path.unlink()
    data = {"version": 2, "shards": [shard | {"zip_data": None} for shard in shards]}
    write_bytes(index, json.dumps(data, sort_keys=True).encode())


def _samples(documents: Documents, kind: np.dtype) -> Iterator[bytes]:
    """Each document as a sample, as often as it is wanted."""
    for batch, weights in documents.rows():
        strings = {name: batch[name].to_pylist() for name in _STRINGS}
        masked = batch["masked"].to_pylist()
        offsets, values = np.asarray(batch["tokens"].offsets).tolist(), np.asarray(batch["tokens"].values)
        for row, weight in enumerate(weights.tolist()):
            tokens = values[offsets[row] : offsets[row + 1]].astype(kind.newbyteorder("<"), copy=False)
            encoded = {name: of_rows[row].encode() for name, of_rows in strings.items()}
            encoded |= {"masked": json.dumps(masked[row]).encode(), "tokens": _shape(len(tokens)) + tokens.tobytes()}
            data = [encoded[name] for name in sorted(encoded)]
            sample = b"".join([np.array([*map(len, data)], "<u4").tobytes(), *data])
            for _ in range(weight):
                yield sample


def _shape(length: int) -> bytes:
    """The head of an array of one dimension: a byte of their number and of the type of its length, and the length."""
    code = next(code for code in range(4) if length < 1 << (8 << code))
    return bytes([1 << 2 | code]) + length.to_bytes(1 << code, "little")


def _shards(samples: Iterator[bytes], header_bytes: int) -> Iterator[list[bytes]]:
    """Samples by shard."""
    shard: list[bytes] = []
    empty = num_bytes = 8 + header_bytes  # of the count, and the end
    for sample in samples:
        if shard and num_bytes + 4 + len(sample) > SHARD_BYTES:
            yield shard
            shard, num_bytes = [], empty
        shard.append(sample)
        num_bytes += 4 + len(sample)
    if shard:
        yield shard


def _write_shard(path: Path, samples: list[bytes], header: bytes) -> dict[str, Any]:
    """Write the file; its entry in the index."""
    first = 4 * (len(samples) + 2) + len(header)
    bounds = first + np.cumsum([0, *map(len, samples)])
    pieces = [len(samples).to_bytes(4, "little"), bounds.astype("<u4").tobytes(), header, *samples]
    digest = xxhash.xxh3_64()
    with atomic_file(path) as file:
        for piece in pieces:
            file.write(piece)
            digest.update(piece)
    num_bytes = sum(map(len, pieces))
    return {"basename": path.name, "bytes": num_bytes, "hashes": {"xxh3_64": digest.hexdigest()}}
