"""Text shards to token shards, one for one.

    RUN/shards/<source>/<shard>.arrow  ──▶  TOKENS/<source>/{train,held-out}/<shard>.arrow

A token shard is finished when its manifest exists. It is made again when the text shard has changed or its files are
damaged. A folder has one held-out fraction, so a text stays held out in every later run, whatever shard it comes in
(`split.py`). A held-out document is measured once, whatever its weight.

A shard is a task, wherever an executor runs it. The process that hands out the tasks holds the locks of the token
folders and writes their manifests; a task takes the tokenizer from one of them.
"""

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pretrain.tokenizing.buckets import check_bucket_column, document_buckets
from pretrain.tokenizing.document_weights import check_weight_column, document_weights
from pretrain.tokenizing.masks import check_mask_column, mask_documents
from pretrain.tokenizing.origins import document_origins, ledger_rows, record_columns
from pretrain.tokenizing.split import is_held_out, text_hashes
from pretrain.tokenizing.text_shards import find_shards, read_documents
from pretrain.tokenizing.tokenizer import Tokenizer
from shards import mirror
from shards.atomic import write_bytes, write_json
from shards.cores import usable_cores
from shards.errors import RunError, UserError
from shards.exchange import Executor
from shards.lock import locked
from shards.manifest import file_sha256
from shards.schema import MASKED
from shards.token_manifest import (
    MANIFEST,
    MANIFESTS,
    TOKENIZER,
    ShardManifest,
    TokenManifest,
    is_whole,
    read_shard_manifest,
    read_token_manifest,
    write_token_manifest,
)
from shards.token_sink import TokenSink
from shards.tokens import HELD_OUT, TRAIN, token_schema

log = logging.getLogger(__name__)

CHUNK_BYTES = 8 << 20  # text that is encoded at once: bounds memory, and is enough to keep all cores busy


@dataclass(frozen=True)
class _Task:
    """A shard, and what its tokens depend on besides the texts."""

    shard: Path
    source: str
    stem: str  # of the shard's file name
    folder: Path  # of the source's tokens
    tokenizer: Path  # the copy in one of the folders
    tokenizer_sha256: str
    held_out_fraction: float  # 0 to below 1
    weight_column: str | None  # of the text shards; None: every document has weight 1
    bucket_column: str | None  # of the text shards; None: every document has the bucket ""
    finished: ShardManifest | None  # of an earlier call
    num_threads: int


@dataclass(frozen=True)
class _Made:
    source: str
    stem: str
    manifest: ShardManifest


def tokenize_shards(
    shards: Sequence[Path],
    tokenizer_path: Path,
    out: Path,
    *,
    held_out_fraction: float,
    report: Callable[[str], None],
    weight_column: str | None = None,
    bucket_column: str | None = None,
    executor: Executor | None = None,
    bos: str | None = None,
    eos: str | None = None,
) -> dict[str, TokenManifest]:
    """Make the token folders of all sources in `shards`, and return their manifests by source.

    A source is the folder that a shard lies in. Finished shards stay as they are, but a folder's manifest lists the
    shards of this call only. `report` is called with one line for each shard, in their order, and with one line for
    each source where shards of earlier calls are left out. `weight_column` holds how often an epoch has each document,
    `bucket_column` what a mixture may tell documents apart by. Shards are made by `executor`; without one here, one
    after the other on all cores. `bos` and `eos` name special tokens whose roles the tokenizer's file does not tell;
    its copies in the token folders do.

    UserError where a token folder was made with another tokenizer or held-out fraction, or is in use.
    """
    if not 0 <= held_out_fraction < 1:
        raise UserError(f"--held-out: expected a fraction from 0 to below 1, found {held_out_fraction}")
    tokenizer = Tokenizer(tokenizer_path, bos, eos)
    sources = _by_source(find_shards(shards))
    for shard in (shard for files in sources.values() for shard in files.values()):
        check_mask_column(shard)
        if weight_column is not None:
            check_weight_column(shard, weight_column)
        if bucket_column is not None:
            check_bucket_column(shard, bucket_column)
    with ExitStack() as stack:
        for source in sources:
            lease = stack.enter_context(locked(out / source))
            report = lease.checked(report)
        finished = {source: _finished(out / source) for source in sources}
        for source in sources:
            _require_same(out / source, tokenizer, finished[source], held_out_fraction)
        for source in sources:
            _claim(out / source, tokenizer)
        num_threads = _num_threads(executor, sum(map(len, sources.values())))
        tasks = [
            _Task(
                shard=shard,
                source=source,
                stem=stem,
                folder=out / source,
                tokenizer=out / next(iter(sources)) / TOKENIZER,
                tokenizer_sha256=tokenizer.sha256,
                held_out_fraction=held_out_fraction,
                weight_column=weight_column,
                bucket_column=bucket_column,
                finished=finished[source].get(stem),
                num_threads=num_threads,
            )
            for source, files in sources.items()
            for stem, shard in files.items()
        ]
        made = map(_tokenize_shard, tasks) if executor is None else executor.map(_tokenize_shard, tasks)
        for one in _in_order(made, tasks):
            report(f"{one.source}/{one.stem}: {_summary(one.manifest)}")
        for source, files in sources.items():
            if left_out := sorted(finished[source].keys() - files.keys()):
                count = f"{len(left_out)} shard{'' if len(left_out) == 1 else 's'}"
                report(
                    f"{source}: left out {count} that earlier calls made and this one does not name: "
                    f"{', '.join(left_out[:5])}{', …' if len(left_out) > 5 else ''}; to train on them too, name all "
                    "shards of the source in one call"
                )
        return {
            source: write_token_manifest(out / source, tokenizer.vocab_size, files) for source, files in sources.items()
        }


def _num_threads(executor: Executor | None, num_tasks: int) -> int:
    """Threads of a task, so that all tasks at once keep this machine's cores busy."""
    at_once = 1 if executor is None else min(executor.workers, num_tasks)
    return max(1, usable_cores() // max(1, at_once))


def _in_order(made: Iterator[_Made], tasks: Sequence[_Task]) -> Iterator[_Made]:
    """What was made in the order of its tasks, each when it and all before it are there."""
    waiting: dict[tuple[str, str], _Made] = {}
    todo = iter(tasks)
    task = next(todo, None)
    for one in made:
        waiting[one.source, one.stem] = one
        while task is not None and (first := waiting.pop((task.source, task.stem), None)) is not None:
            yield first
            task = next(todo, None)


def _summary(manifest: ShardManifest) -> str:
    train, held_out = manifest.files[TRAIN], manifest.files[HELD_OUT]
    masked = f" ({train.num_masked_tokens:,} masked)" if train.num_masked_tokens else ""
    epoch = f", {train.num_epoch_tokens:,} an epoch" if manifest.weight_column is not None else ""
    return (
        f"{train.num_rows + held_out.num_rows:,} documents, {train.num_tokens:,} tokens to train on{masked}{epoch}, "
        f"{held_out.num_tokens:,} held out"
    )


def _by_source(files: Sequence[Path]) -> dict[str, dict[str, Path]]:
    """source → file-name stem → shard; UserError for two shards of one source and stem."""
    sources: dict[str, dict[str, Path]] = {}
    for file in files:
        shards = sources.setdefault(file.resolve().parent.name, {})
        earlier = shards.setdefault(file.stem, file)
        if earlier.resolve() != file.resolve():
            raise UserError(f"{file}: same source and name as {earlier}; tokenize the two into separate folders")
    return sources


def _finished(folder: Path) -> dict[str, ShardManifest]:
    """The shard manifests of a token folder by stem. A broken one is deleted, so that its shard is made again.

    UserError where a newer gristmill made the folder.
    """
    if mirror.exists(folder / MANIFEST):
        with suppress(RunError):  # a broken one is written anew
            read_token_manifest(folder)
    manifests = {}
    for path in mirror.glob(folder / MANIFESTS, "*.json"):
        try:
            manifests[path.stem] = read_shard_manifest(path)
        except RunError as error:
            log.warning("event=manifest_broken %s", error)
            mirror.unlink(path)
    return manifests


def _require_same(
    folder: Path, tokenizer: Tokenizer, finished: dict[str, ShardManifest], held_out_fraction: float
) -> None:
    """UserError where the folder has another tokenizer or held-out fraction.

    With two fractions, a document that stands in two shards could be trained on from one and measured from the other.
    """
    if other_fractions := {manifest.held_out_fraction for manifest in finished.values()} - {held_out_fraction}:
        theirs = f"{min(other_fractions):g}"
        raise UserError(
            f"{folder}: holds tokens with {theirs} held out, not {held_out_fraction:g}; set --held-out {theirs}, "
            "choose another --out or delete the folder"
        )
    copy = folder / TOKENIZER
    if mirror.exists(copy) and (other := mirror.read_bytes(copy)) != tokenizer.json:
        sha256 = hashlib.sha256(other).hexdigest()
        raise UserError(
            f"{folder}: holds tokens of another tokenizer (sha256 {sha256[:12]}, this one {tokenizer.sha256[:12]}); "
            "choose another --out or delete the folder"
        )


def _claim(folder: Path, tokenizer: Tokenizer) -> None:
    """Mark the folder as unfinished."""
    mirror.unlink(folder / MANIFEST)
    write_bytes(folder / TOKENIZER, tokenizer.json)


def _tokenize_shard(task: _Task) -> _Made:
    """Make a token shard, unless the finished one was made from the same text and is whole."""
    tokenizer = _tokenizer(task.tokenizer, task.tokenizer_sha256)
    folder, finished = task.folder, task.finished
    manifest_path = folder / MANIFESTS / f"{task.stem}.json"
    input_sha256 = file_sha256(task.shard)
    if finished is not None:
        columns = task.weight_column, task.bucket_column
        same = (finished.input_sha256, finished.weight_column, finished.bucket_column) == (input_sha256, *columns)
        if same and is_whole(folder, task.stem, finished):
            log.info("event=shard_reused shard=%s", task.shard)
            return _Made(task.source, task.stem, finished)
        mirror.unlink(manifest_path)  # the worker of an earlier attempt may have been lost after this

    schema = token_schema(tokenizer.vocab_size)
    with ExitStack() as stack:
        sinks = {
            split: stack.enter_context(TokenSink(folder / split / f"{task.stem}.arrow", tokenizer.vocab_size))
            for split in (TRAIN, HELD_OUT)
        }
        for rows in _token_rows(task, tokenizer, schema):
            held_out = is_held_out(rows["text_hash"].to_numpy(), task.held_out_fraction)
            # Runs of rows: to filter lists of tokens takes a twentieth of the whole command.
            parts = {split: [rows[:0]] for split in sinks}
            for start, end in zip(*_runs(held_out), strict=True):
                parts[HELD_OUT if held_out[start] else TRAIN].append(rows[start:end])
            for split, sink in sinks.items():
                sink.write(pa.concat_batches(parts[split]))
    manifest = ShardManifest(
        input_sha256=input_sha256,
        held_out_fraction=task.held_out_fraction,
        weight_column=task.weight_column,
        bucket_column=task.bucket_column,
        files={split: sink.proof for split, sink in sinks.items()},
    )
    write_json(manifest_path, manifest.model_dump())
    return _Made(task.source, task.stem, manifest)


@lru_cache(maxsize=1)
def _tokenizer(path: Path, sha256: str) -> Tokenizer:
    """The tokenizer that a token folder has, loaded once a process. RunError where this machine sees no such folder."""
    if not mirror.exists(path):
        raise RunError(
            f"{path}: node {os.uname().nodename} has no such file; on several machines --out lies on a disk that all "
            "share"
        )
    tokenizer = Tokenizer(path)
    if tokenizer.sha256 != sha256:
        raise RunError(f"{path}: was replaced while its tokens were made; run the same command again")
    return tokenizer


def _token_rows(task: _Task, tokenizer: Tokenizer, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The shard's documents as rows of a token shard, in their order."""
    bos, eos = np.array([tokenizer.bos], np.uint32), np.array([tokenizer.eos], np.uint32)
    columns = [c for c in (task.weight_column, task.bucket_column) if c is not None] + record_columns(task.shard)
    rows, first = ledger_rows(task.shard), 0
    for batch in _chunks(task.shard, columns):
        encoded = tokenizer.encode_batch(batch["text"].to_pylist(), task.num_threads)
        documents = [np.concatenate([bos, ids, eos]) for ids in encoded]
        offsets = np.cumsum([0] + [len(ids) for ids in documents])
        ids = pa.array(np.concatenate(documents)).cast(schema.field("tokens").type.value_type)
        masks = mask_documents(batch, task.shard, encoded, tokenizer)
        yield pa.RecordBatch.from_arrays(
            [
                batch["id"].cast(pa.string()),
                batch["url"].cast(pa.string()),
                pa.array([task.source] * batch.num_rows, pa.string()),
                pa.array(text_hashes(batch["text"])),
                pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), ids),
                masks["num_bytes"],
                masks["masked"],
                document_weights(batch, task.shard, task.weight_column),
                document_buckets(batch, task.shard, task.bucket_column),
                *document_origins(batch, task.stem, rows, first),
            ],
            schema=schema,
        )
        first += batch.num_rows


def _chunks(shard: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The shard's rows in batches of about `CHUNK_BYTES` of text, none of them empty."""
    nullable = [MASKED.name] if check_mask_column(shard) else []
    nullable += dict.fromkeys(columns)
    for batch in read_documents(shard, ["id", "url", "text"], nullable):
        chunk_of = np.cumsum(pc.binary_length(batch["text"]).to_numpy()) // CHUNK_BYTES
        for start, end in zip(*_runs(chunk_of), strict=True):
            yield batch.slice(start, end - start)


def _runs(values: np.ndarray) -> tuple[list[int], list[int]]:
    """Starts and ends of the runs of equal values."""
    cuts = (np.flatnonzero(np.diff(values)) + 1).tolist()
    return ([0, *cuts], [*cuts, len(values)]) if len(values) else ([], [])
