"""Text shards to token shards, one for one.

    RUN/shards/<source>/<shard>.arrow  ──▶  TOKENS/<source>/{train,held-out}/<shard>.arrow

A shard is finished when its manifest is there, and is made again when the text shard changed since or its files are
damaged. Whether a document is held out follows from its id and the held-out fraction, and a folder has one fraction: so
a document stays held out in every later run, whatever shard it comes in. It is measured once, whatever its weight.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pretrain.tokenizing.masks import check_masks, mask
from pretrain.tokenizing.tokenizer import Tokenizer, find_shards, id_hashes, read_documents
from pretrain.tokenizing.weights import check_weights, weights_of
from shards.atomic import write_bytes, write_json
from shards.errors import RunError, UserError
from shards.lock import locked
from shards.manifest import file_sha256
from shards.schema import MASKED
from shards.sink import ArrowSink
from shards.tokens import (
    HELD_OUT,
    MANIFEST,
    MANIFESTS,
    TOKENIZER,
    TRAIN,
    ShardManifest,
    TokenFile,
    TokenManifest,
    finish,
    is_whole,
    read_shard_manifest,
    token_schema,
)

log = logging.getLogger(__name__)

CHUNK_BYTES = 8 << 20  # text that is encoded at once; bounds memory, and is enough to keep all cores busy
_HELD_OUT_SEED = 2


@dataclass(frozen=True)
class Settings:
    """What token shards follow from, beside the texts."""

    tokenizer: Tokenizer
    held_out_fraction: float
    weight_column: str | None


def tokenize_shards(
    shards: Sequence[Path],
    tokenizer_path: Path,
    out: Path,
    *,
    held_out_fraction: float,
    report: Callable[[str], None],
    weight_column: str | None = None,
) -> dict[str, TokenManifest]:
    """Make the token folders of all sources in `shards`; a source is the folder that a shard lies in.

    Finished shards stay as they are, but a folder's manifest lists the shards of this call only. `report` gets one line
    a shard, and one where shards of earlier calls are left out. `weight_column` says how often an epoch has each
    document.
    """
    if not 0 <= held_out_fraction < 1:
        raise UserError(f"held_out: expected a fraction from 0 to below 1, found {held_out_fraction}")
    tokenizer = Tokenizer(tokenizer_path)
    settings = Settings(tokenizer, held_out_fraction, weight_column)
    sources = _by_source(find_shards(shards))
    for shard in (shard for files in sources.values() for shard in files.values()):
        check_masks(shard)
        if weight_column is not None:
            check_weights(shard, weight_column)
    with ExitStack() as stack:
        for source in sources:
            stack.enter_context(locked(out / source))
        finished = {source: _finished(out / source) for source in sources}
        for source in sources:
            _claim(out / source, tokenizer, finished[source], held_out_fraction)
        for source, files in sources.items():
            for stem, shard in files.items():
                manifest = _tokenize_shard(shard, stem, settings, out / source, finished[source].get(stem))
                report(f"{source}/{stem}: {_summary(manifest)}")
        for source, files in sources.items():
            if others := sorted(finished[source].keys() - files.keys()):
                report(
                    f"{source}: left out {len(others)} shards that earlier calls made and this one does not name: "
                    f"{', '.join(others[:5])}{', …' if len(others) > 5 else ''}; to train on them too, give all "
                    "shards of the source in one call"
                )
        return {source: finish(out / source, tokenizer.vocab_size, files) for source, files in sources.items()}


def _summary(manifest: ShardManifest) -> str:
    train, held_out = manifest.files[TRAIN], manifest.files[HELD_OUT]
    masked = f" ({train.num_masked_tokens:,} masked)" if train.num_masked_tokens else ""
    epoch = f", {train.num_epoch_tokens:,} an epoch" if manifest.weight_column is not None else ""
    return (
        f"{train.num_rows + held_out.num_rows:,} documents, {train.num_tokens:,} tokens to train on{masked}{epoch}, "
        f"{held_out.num_tokens:,} held out"
    )


def _by_source(files: Sequence[Path]) -> dict[str, dict[str, Path]]:
    """source → stem → shard."""
    sources: dict[str, dict[str, Path]] = {}
    for file in files:
        names = sources.setdefault(file.resolve().parent.name, {})
        twin = names.setdefault(file.stem, file)
        if twin.resolve() != file.resolve():
            raise UserError(f"{file}: same source and name as {twin}; tokenize the two into separate folders")
    return sources


def _finished(folder: Path) -> dict[str, ShardManifest]:
    """The manifests of a token folder by stem; a broken one goes, and its shard is made again."""
    manifests = {}
    for path in sorted((folder / MANIFESTS).glob("*.json")):
        try:
            manifests[path.stem] = read_shard_manifest(path)
        except RunError as error:
            log.warning("event=manifest_broken %s", error)
            path.unlink()
    return manifests


def _claim(folder: Path, tokenizer: Tokenizer, finished: dict[str, ShardManifest], held_out_fraction: float) -> None:
    """Make the folder unfinished; one of another tokenizer or held-out fraction is refused.

    With two fractions a document that stands in two shards could be trained on from one and measured from the other.
    """
    if others := {manifest.held_out_fraction for manifest in finished.values()} - {held_out_fraction}:
        raise UserError(
            f"{folder}: holds tokens with {min(others):g} held out, not {held_out_fraction:g}; give --held-out "
            f"{min(others):g}, choose another --out or delete the folder"
        )
    copy = folder / TOKENIZER
    if copy.exists() and copy.read_bytes() != tokenizer.json:
        theirs = hashlib.sha256(copy.read_bytes()).hexdigest()
        raise UserError(
            f"{folder}: holds tokens of another tokenizer (sha256 {theirs[:12]}, this one {tokenizer.sha256[:12]}); "
            f"choose another --out or delete the folder"
        )
    (folder / MANIFEST).unlink(missing_ok=True)
    write_bytes(copy, tokenizer.json)


def _tokenize_shard(
    shard: Path, stem: str, settings: Settings, folder: Path, before: ShardManifest | None
) -> ShardManifest:
    manifest_path = folder / MANIFESTS / f"{stem}.json"
    input_sha256 = file_sha256(shard)
    if before is not None:
        same = (before.input_sha256, before.weight_column) == (input_sha256, settings.weight_column)
        if same and is_whole(folder, stem, before):
            log.info("event=shard_reused shard=%s", shard)
            return before
        manifest_path.unlink()

    schema = token_schema(settings.tokenizer.vocab_size)
    counts = {split: dict.fromkeys(_COUNTS, 0) for split in (TRAIN, HELD_OUT)}
    with ExitStack() as stack:
        sinks = {
            split: stack.enter_context(ArrowSink(folder / split / f"{stem}.arrow", schema, compressed=False))
            for split in counts
        }
        for rows in _token_rows(shard, settings, schema):
            held_out = id_hashes(rows["id"], _HELD_OUT_SEED) < settings.held_out_fraction * 2**64
            for split, chosen in ((TRAIN, ~held_out), (HELD_OUT, held_out)):
                part = rows.filter(pa.array(chosen))
                sinks[split].write(part)
                counts[split] = {name: counts[split][name] + count(part) for name, count in _COUNTS.items()}
    manifest = ShardManifest(
        input_sha256=input_sha256,
        held_out_fraction=settings.held_out_fraction,
        weight_column=settings.weight_column,
        files={split: TokenFile.of(sinks[split], counts[split]) for split in counts},
    )
    write_json(manifest_path, manifest.model_dump())
    return manifest


def _num_masked(rows: pa.RecordBatch) -> int:
    bounds = rows["masked"].flatten().to_numpy()
    return int((bounds[1::2] - bounds[::2]).sum())


def _num_epoch_tokens(rows: pa.RecordBatch) -> int:
    return int(pc.list_value_length(rows["tokens"]).to_numpy() @ rows["weight"].to_numpy())


_COUNTS: dict[str, Callable[[pa.RecordBatch], int]] = {
    "num_tokens": lambda rows: len(rows["tokens"].flatten()),
    "num_masked_tokens": _num_masked,
    "num_epoch_tokens": _num_epoch_tokens,
    "num_text_bytes": lambda rows: pc.sum(rows["num_bytes"]).as_py() or 0,
}


def _token_rows(shard: Path, settings: Settings, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The shard's documents as rows of a token shard."""
    source, tokenizer = shard.resolve().parent.name, settings.tokenizer
    bos, eos = np.array([tokenizer.bos], np.uint32), np.array([tokenizer.eos], np.uint32)
    for batch in _chunks(shard, settings.weight_column):
        encoded = tokenizer.encode_batch(batch["text"].to_pylist())
        documents = [np.concatenate([bos, ids, eos]) for ids in encoded]
        offsets = np.cumsum([0] + [len(ids) for ids in documents])
        ids = pa.array(np.concatenate(documents)).cast(schema.field("tokens").type.value_type)
        masks = mask(batch, shard, encoded, tokenizer)
        yield pa.RecordBatch.from_arrays(
            [
                batch["id"].cast(pa.string()),
                batch["url"].cast(pa.string()),
                pa.array([source] * batch.num_rows, pa.string()),
                pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), ids),
                masks["num_bytes"],
                masks["masked"],
                weights_of(batch, shard, settings.weight_column),
            ],
            schema=schema,
        )


def _chunks(shard: Path, weight_column: str | None) -> Iterator[pa.RecordBatch]:
    """The shard's rows in runs of about `CHUNK_BYTES` of text; never an empty run."""
    also = [MASKED.name] if check_masks(shard) else []
    also += [weight_column] if weight_column is not None else []
    for batch in read_documents(shard, ["id", "url", "text"], also):
        chunk_of = np.cumsum(pc.binary_length(batch["text"]).to_numpy()) // CHUNK_BYTES
        for start, end in zip(*_runs(chunk_of), strict=True):
            yield batch.slice(start, end - start)


def _runs(values: np.ndarray) -> tuple[list[int], list[int]]:
    """Starts and ends of the runs of equal values."""
    cuts = (np.flatnonzero(np.diff(values)) + 1).tolist()
    return ([0, *cuts], [*cuts, len(values)]) if len(values) else ([], [])
