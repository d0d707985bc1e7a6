"""Exports token folders for other tools: each document is a sequence or a sample, in the order of the token shards.

    TO/export.json         which tokens these are, written first
       tokenizer.json      of the ids
       train.bin, .idx     in the format "megatron", and likewise held-out.bin, .idx
       train/…             in the format "mds", and likewise held-out/…

Documents that are trained on stand there as often as an epoch has them, so those of weight 0 do not. A split without
documents is left out. Files take their names when they are whole; memory holds one document, or one MDS shard. The same
tokens give the same bytes.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pretrain.interop import mds, megatron
from pretrain.interop.documents import Documents
from shards import mirror
from shards.atomic import write_bytes, write_json
from shards.errors import UserError
from shards.lock import locked
from shards.token_manifest import TOKENIZER, TokenManifest, read_token_manifest
from shards.tokens import HELD_OUT, TRAIN

EXPORT = "export.json"

Format = Literal["megatron", "mds"]
_WRITERS = {"megatron": megatron.write, "mds": mds.write}


@dataclass(frozen=True)
class Exported:
    """The contents of an export."""

    num_documents: dict[str, int]  # by split
    num_unmasked: int  # tokens that are masked here and learned there, each document counted once


def export_tokens(folder: Path, to: Path, format: Format) -> Exported:
    """Write a token folder in `format` into the folder `to`.

    UserError where `folder` is no finished token folder, or where `to` holds anything but these tokens in this format;
    RunError where a file of tokens is damaged.
    """
    manifest = read_token_manifest(folder)
    with locked(to, elsewhere="--to") as lease:
        parts = {split: Documents(folder, manifest, split) for split in (TRAIN, HELD_OUT)}
        counts = {split: count for split, documents in parts.items() if (count := len(documents))}
        _claim(to, manifest, format)
        write_bytes(to / TOKENIZER, mirror.read_bytes(folder / TOKENIZER))
        for split in counts:
            _WRITERS[format](to, split, parts[split])
            lease.check()
        masked = sum(shard.files[TRAIN].num_masked_tokens for shard in manifest.shards.values())
        return Exported(counts, masked if format == "megatron" else 0)


def _claim(to: Path, manifest: TokenManifest, format: str) -> None:
    """Say in `to` what it is to hold; UserError where it holds something else."""
    tokens = {split: manifest.digest(split) for split in (TRAIN, HELD_OUT)}
    claim = {"format": format, "tokenizer_sha256": manifest.tokenizer_sha256, "tokens": tokens}
    path = to / EXPORT
    if path.exists():
        if json.loads(path.read_bytes()) != claim:
            raise UserError(f"{to}: holds other tokens or another format, as {EXPORT} says; choose another --to")
    elif any(not file.name.startswith(".") for file in to.iterdir()):
        raise UserError(f"{to}: holds other files; choose another --to")
    write_json(path, claim)
