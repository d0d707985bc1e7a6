"""The rows of all sources: made from the figures of their documents, kept in one mapped file, opened by every process.

Rows depend on the token folders and the packing alone, not on weights or steps. Making them reads no tokens.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pretrain.config import TrainConfig
from pretrain.order.batch import Rows
from pretrain.order.packing import VERSION, pack_weighted
from pretrain.order.plan_file import read_arrays, write_arrays
from pretrain.order.repeats import document_repeats
from shards.errors import RunError, UserError
from shards.token_manifest import TokenManifest, read_token_manifest
from shards.token_map import TokenLayout, TokenMap, token_parts
from shards.tokens import TRAIN, TokenDocuments, item_bytes

log = logging.getLogger(__name__)

PLAN = "plan.bin"  # name in a training's `out`
_ROWS = ("first", "position", "length", "document")
_LAYOUT = ("first", "file", "byte", "masked")


@dataclass(frozen=True)
class PlannedSource:
    """A source and its figures."""

    name: str
    folder: Path
    manifest: TokenManifest
    num_documents: int
    num_rows: int  # in an epoch
    num_epoch_tokens: int  # predictions in an epoch, masked ones included
    first_row: int  # among the rows of all sources
    first_token: int  # among the tokens of all sources

    @property
    def digest(self) -> str:
        """Changes when a document that is trained on does."""
        return self.manifest.digest(TRAIN)

    @cached_property
    def documents(self) -> TokenDocuments:
        """Those that are trained on; opened when they are first asked for."""
        return TokenDocuments(self.folder, TRAIN)


@dataclass(frozen=True)
class PlannedRows:
    sources: tuple[PlannedSource, ...]
    rows: Rows  # of all sources, one source after the other
    tokens: TokenMap  # likewise
    info: dict[str, Any]  # as `plan_file` keeps it
    arrays: dict[str, np.ndarray]
    is_kept: bool  # in the file

    def segments(self, source: int, row: int) -> list[tuple[int, int, int]]:
        """(document, start, end) of each segment of a row of a source, in order."""
        of, rows = self.sources[source], self.rows
        own = slice(*rows.first[of.first_row + row : of.first_row + row + 2])
        document = rows.document[own].astype(np.int64)
        start = rows.position[own] - of.first_token - of.documents.first_token[document]
        return list(zip(document.tolist(), start.tolist(), (start + rows.length[own]).tolist(), strict=True))


def open_rows(config: TrainConfig) -> PlannedRows:
    """The rows of the sources: from the file in `out` where it has them, and made from the token folders otherwise.

    UserError for a source that is empty or no token folder, RunError where its figures are damaged.
    """
    manifests = _manifests(config)
    key, path = _key(config, manifests), Path(config.out) / PLAN
    if path.exists():
        try:
            info, arrays = read_arrays(path)
        except RunError as error:
            log.warning("event=plan_made_anew %s", error)
        else:
            if info["key"] == key:
                return _rows_of(config, manifests, info, arrays, is_kept=True)
            log.warning("event=plan_made_anew %s: holds the rows of other token folders or another packing", path)
    return make_rows(config)


def make_rows(config: TrainConfig) -> PlannedRows:
    """The rows of the sources, made from the token folders. Raises as `open_rows` does."""
    manifests = _manifests(config)
    info, arrays = _make(config)
    return _rows_of(config, manifests, info | {"key": _key(config, manifests)}, arrays, is_kept=False)


def keep_rows(config: TrainConfig, planned: PlannedRows) -> PlannedRows:
    """The same rows in the file in `out`, which is written unless it has them."""
    if planned.is_kept:
        return planned
    path, manifests = Path(config.out) / PLAN, {source.name: source.manifest for source in planned.sources}
    write_arrays(path, planned.info, planned.arrays)
    return _rows_of(config, manifests, *read_arrays(path), is_kept=True)


def difference(config: TrainConfig, made: PlannedRows) -> str:
    """What the file in `out` has else than the rows that were made from the token folders; "" where it has them."""
    path = Path(config.out) / PLAN
    try:
        info, arrays = read_arrays(path)
    except RunError as error:
        return str(error)
    if info != made.info:
        return f"{path}: holds the rows of other token folders or another packing"
    for name, ours in made.arrays.items():
        theirs = arrays.get(name, ours[:0])
        if np.array_equal(theirs, ours):
            continue
        if name not in ("rows.position", "rows.length", "rows.document") or len(theirs) != len(ours):
            return f"{path}: its {name} is not that of the token folders"
        row = int(np.searchsorted(made.rows.first, np.flatnonzero(theirs != ours)[0], side="right")) - 1
        source = max((source for source in made.sources if source.first_row <= row), key=lambda s: s.first_row)
        return f"{path}: row {row - source.first_row} of source {source.name} is not that of the token folder"
    return ""


def _manifests(config: TrainConfig) -> dict[str, TokenManifest]:
    return {name: read_token_manifest(source.folder) for name, source in config.source.items()}


def _key(config: TrainConfig, manifests: Mapping[str, TokenManifest]) -> str:
    """A sha256 of all that the rows depend on."""
    depends_on = {
        "version": VERSION,
        "row_length": config.sequence_length,
        "packing": config.packing.model_dump(),
        "sources": [[name, manifest.digest(TRAIN), config.source[name].repeat] for name, manifest in manifests.items()],
    }
    return hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()


def _make(config: TrainConfig) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(info, arrays) for `_rows_of`."""
    sources, layouts, num_files, parts = [], [], [], []
    num_segments = num_tokens = 0
    for name, source in config.source.items():
        documents = TokenDocuments(source.folder, TRAIN)
        documents.check_figures()
        packing = pack_weighted(
            documents.num_tokens - 1,
            document_repeats(name, documents, source.repeat),
            config.sequence_length,
            kind=config.packing.kind,
            max_segments=config.packing.max_segments,
        )
        if not packing.num_rows:
            raise UserError(f"source {name}: {source.tokens} has no training documents; remove the source")
        sources.append([len(documents), packing.num_rows, int((packing.end - packing.start).sum()), num_tokens])
        rows = Rows.of(packing, documents.first_token + num_tokens)
        parts.append([rows.first[:-1] + num_segments, rows.position, rows.length, rows.document])
        layouts.append(documents.layout)
        num_files.append(len(documents.parts))
        num_segments += len(rows.position)
        num_tokens += int(documents.num_tokens.sum())
    first, *others = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    layout = TokenLayout.joined(layouts, num_files)
    rows_of = dict(zip(_ROWS, [np.append(first, num_segments), *others], strict=True))
    arrays = {f"rows.{name}": array for name, array in rows_of.items()}
    return {"sources": sources}, arrays | {f"layout.{name}": getattr(layout, name) for name in _LAYOUT}


def _rows_of(
    config: TrainConfig,
    manifests: Mapping[str, TokenManifest],
    info: dict[str, Any],
    arrays: dict[str, np.ndarray],
    *,
    is_kept: bool,
) -> PlannedRows:
    sources: list[PlannedSource] = []
    first_row = 0
    for (name, manifest), (num_documents, num_rows, num_epoch_tokens, first_token) in zip(
        manifests.items(), info["sources"], strict=True
    ):
        folder = config.source[name].folder
        sources.append(
            PlannedSource(name, folder, manifest, num_documents, num_rows, num_epoch_tokens, first_row, first_token)
        )
        first_row += num_rows
    parts = [part for source in sources for part in token_parts(source.folder, TRAIN, source.manifest)]
    layout = TokenLayout(**{name: arrays[f"layout.{name}"] for name in _LAYOUT})
    return PlannedRows(
        tuple(sources),
        Rows(config.sequence_length, **{name: arrays[f"rows.{name}"] for name in _ROWS}),
        TokenMap(layout, parts, item_bytes(sources[0].manifest.vocab_size), int(config.token_cache_gb * 1e9)),
        info,
        arrays,
        is_kept,
    )
