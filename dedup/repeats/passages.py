"""Actions on repeated passages: they are cut or masked, or their documents are removed.

    pieces ──twins──▶ spans ──▶ cut: <key>.spans.arrow, and verdicts where little is left
                           ├──▶ mask: the text stays, <key>.columns.arrow says where
                           └──▶ drop_partial, drop_any: verdicts

The stage defines the pieces, and the span of text that is cut with a piece. `keep = "none"` takes every repeated piece,
`keep = "first"` all but the first of equal pieces, in the order of document ids and then of the text.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from dedup.files.documents import format_ids
from dedup.files.verdicts import write_verdicts
from dedup.repeats.engine import Hasher, RepeatedPieces, find_repeats
from dedup.replay import remove_for_others
from shards.errors import UserError
from shards.exchange import SPANS, Block, Executor, GlobalStageConfig, columns_path, spans_path
from shards.replay import FinishedRun
from shards.schema import MASKED
from shards.sink import ArrowSink

FIELDS = ("row", "start", "end", "chars")
_SPAN = np.dtype([*((name, "<i8") for name in FIELDS), ("twin", "<u8", 2), ("twin_start", "<i8")])


class PassagesConfig(GlobalStageConfig):
    """The base of stages that cut or mask repeated passages, or remove their documents."""

    keep: Literal["first", "none"] = "first"
    action: Literal["cut", "mask", "drop_partial", "drop_any"] = "cut"
    min_chars: int = Field(20, ge=1)  # "cut": least that is left of a kept document; one with fewer is removed
    max_repeated_fraction: float = Field(0.2, ge=0, le=1)  # "drop_partial": of a kept document's characters in spans

    def hasher(self) -> Hasher:
        raise NotImplementedError

    def spans(self, text: pa.LargeStringArray, rows: np.ndarray, starts: np.ndarray, goes: np.ndarray) -> np.ndarray:
        """i64[5, spans]: FIELDS and the index of a piece for each span, by (row, start) and disjoint.

        `rows` and `starts` are those of the repeated pieces, ascending; bool `goes` marks the pieces to take, the
        others stay. The span's twin is the twin of its piece.
        """
        raise NotImplementedError

    def columns(self) -> pa.Schema:
        """For `mask`: all masked spans, of this stage and earlier ones, and the counts of this stage."""
        counts = [pa.field(f"{self.name}.{name}", pa.int64()) for name in ("masked_spans", "masked_chars")]
        return pa.schema([MASKED, *counts] if self.action == "mask" else [])

    @property
    def cuts(self) -> bool:
        return self.action == "cut"

    def replay(self, run: FinishedRun, *, changed: bool) -> None:
        """Of fewer documents fewer passages are repeated: rows that passed pass again, removed ones perhaps return."""
        new = run.possible & ~run.entered
        remove_for_others(run)
        if readers := run.later_stages_read_text:
            raise UserError(
                f"{self.name}: other documents reach it, and {readers[0]} after it reads what it cuts; only a run with "
                "these settings decides them"
            )
        removed = run.possible & run.removed
        if (run.entered & ~run.sure).any():
            run.doubt(removed, "uncompared")
        else:
            run.drop_recorded()
        run.doubt(new, "uncompared")
        if not self.cuts:
            return
        run.texts_change()
        if run.later_stages_have_rules:
            spans = pc.fill_null(run.column(f"{self.name}.spans"), 0).to_numpy(zero_copy_only=False) > 0
            run.doubt(run.possible & spans, "unmeasured")

    def resolve(self, units: Sequence[Block], folder: Path, executor: Executor) -> None:
        found = find_repeats(units, folder / "repeats", executor, self.hasher())
        for _ in executor.map(partial(_decide, found=found, folder=folder, config=self), range(len(found.units))):
            pass  # results are files


def _decide(number: int, *, found: RepeatedPieces, folder: Path, config: PassagesConfig) -> None:
    """Write the verdicts and spans of one unit."""
    unit = found.units[number]
    spans, sizes = _spans(found, number, config)
    rows, first = np.unique(spans["row"], return_index=True)
    chars = np.add.reduceat(spans["chars"], first) if len(rows) else rows
    match config.action:
        case "cut":
            dropped = sizes - chars < config.min_chars
        case "mask":
            dropped = np.zeros(len(rows), np.bool_)
        case "drop_partial":
            dropped = chars > config.max_repeated_fraction * sizes
        case "drop_any":
            dropped = np.ones(len(rows), np.bool_)
    addresses = np.uint64(unit.number << 32) | rows[dropped].astype(np.uint64)
    write_verdicts(folder, [unit], addresses, spans["twin"][first[dropped]], chars[dropped] / sizes[dropped])
    if config.cuts:
        _write_spans(spans_path(folder / f"{unit.key}.arrow"), spans[~np.isin(spans["row"], rows[dropped])])
    elif config.action == "mask" and len(rows):
        counts = np.diff(np.append(first, len(spans)))
        columns = [rows, _masked(unit, rows, spans), counts, chars]
        schema = pa.schema([pa.field("row", pa.int64()), *config.columns()])
        with ArrowSink(columns_path(folder / f"{unit.key}.arrow"), schema, synced=False) as sink:
            sink.write(pa.RecordBatch.from_arrays([pa.array(values) for values in columns], schema=schema))


def _spans(repeated: RepeatedPieces, number: int, config: PassagesConfig) -> tuple[np.ndarray, np.ndarray]:
    """(_SPAN by row and start, i64 characters of each row with spans, in row order) of unit `number`."""
    spans, sizes = [np.zeros(0, _SPAN)], [np.zeros(0, np.int64)]
    for rows, batch, repeats in repeated.batches(number, ["text"]):
        goes = ~repeats.firsts if config.keep == "first" else np.ones(len(repeats.firsts), np.bool_)
        *fields, pieces = config.spans(batch["text"], repeats.rows, repeats.starts, goes)
        part = np.empty(len(pieces), _SPAN)
        for name, values in zip(FIELDS, fields, strict=True):
            part[name] = values
        part["twin"], part["twin_start"] = repeats.twins[pieces], repeats.twin_starts[pieces]
        with_spans = np.unique(part["row"])
        sizes.append(pc.utf8_length(batch["text"].take(pa.array(with_spans))).to_numpy(zero_copy_only=False))
        part["row"] = rows[part["row"]]
        spans.append(part)
    return np.concatenate(spans), np.concatenate(sizes)


def _masked(unit: Block, rows: np.ndarray, spans: np.ndarray) -> pa.Array:
    """MASKED of `rows`: `spans` and those of earlier stages, united to spans that are disjoint and do not touch."""
    begins, ends = [spans["row"] << 32 | spans["start"]], [spans["row"] << 32 | spans["end"]]
    for batch_rows, batch in unit.batches([MASKED.name]) if MASKED.name in unit.columns() else ():
        chosen = np.isin(batch_rows, rows)
        before = batch[MASKED.name].filter(pa.array(chosen))
        earlier_spans = before.flatten().to_numpy().reshape(-1, 2)
        span_rows = np.repeat(batch_rows[chosen], pc.list_value_length(before).to_numpy() // 2)
        begins.append(span_rows << 32 | earlier_spans[:, 0])
        ends.append(span_rows << 32 | earlier_spans[:, 1])
    begin, end = np.concatenate(begins), np.concatenate(ends)
    order = np.argsort(begin, kind="stable")
    begin, last_end = begin[order], np.maximum.accumulate(end[order])
    opens = np.append(True, begin[1:] > last_end[:-1])
    begin, end = begin[opens], last_end[np.append(opens[1:], True)]
    bounds = 2 * np.searchsorted(begin >> 32, np.append(rows, rows[-1] + 1))
    offsets = np.stack([begin, end], axis=1).ravel() & 0xFFFFFFFF
    return pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), pa.array(offsets))


def _write_spans(path: Path, spans: np.ndarray) -> None:
    if not len(spans):
        return
    columns = {name: pa.array(spans[name]) for name in (*FIELDS, "twin_start")}
    columns["twin"] = format_ids(spans["twin"])
    with ArrowSink(path, SPANS, synced=False) as sink:
        sink.write(pa.RecordBatch.from_pydict(columns, schema=SPANS))
