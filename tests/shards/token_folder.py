"""A token folder of two shards, made by hand."""

from pathlib import Path

import pyarrow as pa

from shards.atomic import write_bytes, write_json
from shards.object_store import ObjectStore
from shards.token_manifest import MANIFESTS, TOKENIZER, ShardManifest, write_token_manifest
from shards.token_sink import TokenSink
from shards.tokens import HELD_OUT, TRAIN, token_schema

# id, tokens, ranges of masked tokens, weight
DOCUMENTS = {
    "a": [("a0", [0, 5, 6, 7, 1], [1, 3], 1), ("a1", [0, 1], [], 2), ("a2", [0, 9, 8, 7, 6, 5, 1], [1, 2, 4, 6], 1)],
    "b": [("b0", [0, 4, 1], [], 0)],
}


def write_token_folder(folder: Path, vocab_size: int = 300) -> Path:
    """All documents are in the training split, and the held-out files are empty."""
    write_bytes(folder / TOKENIZER, b"{}")
    schema = token_schema(vocab_size)
    for stem, documents in DOCUMENTS.items():
        files = {}
        for split, rows in ((TRAIN, documents), (HELD_OUT, [])):
            columns = [
                [row[0] for row in rows],
                [f"https://mill.example/{row[0]}" for row in rows],
                ["web"] * len(rows),
                list(range(len(rows))),
                [row[1] for row in rows],
                [2 * len(row[1]) for row in rows],
                [row[2] for row in rows],
                [row[3] for row in rows],
                [""] * len(rows),
                [stem] * len(rows),
                list(range(len(rows))),
                [f"{stem}.warc.gz"] * len(rows),
                [100 * number for number in range(len(rows))],
            ]
            arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
            with TokenSink(folder / split / f"{stem}.arrow", vocab_size) as sink:
                sink.write(pa.RecordBatch.from_arrays(arrays, schema=schema))
            files[split] = sink.proof
        manifest = ShardManifest(input_sha256="0", held_out_fraction=0.1, weight_column=None, files=files)
        write_json(folder / MANIFESTS / f"{stem}.json", manifest.model_dump())
    write_token_manifest(folder, vocab_size, DOCUMENTS)
    return folder


def upload(folder: Path, url: str) -> None:
    """Put the files of the folder into a store."""
    store = ObjectStore(url)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            store.write(path.relative_to(folder).as_posix(), path)
