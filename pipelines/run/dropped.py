"""Write `dropped/texts.arrow`, the texts of dropped rows, for people to read.

It holds, for each drop reason, the texts of the `per_rule` smallest ids; all texts where `per_rule` is -1. Ids are
hashes, so this is a random sample, and the same one for any number of workers. Rows without text, which were refused
before extraction, are in the ledger only.

    blocks ──smallest ids of each reason──▶ candidates ──of all blocks──▶ chosen ids ──▶ their texts
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.run.blocks import read_block
from pipelines.run.folder import RunFolder
from pipelines.run.unit_files import DROPPED
from shards.exchange import read_verdicts
from shards.schema import VERDICT
from shards.sink import open_arrow, read_batches
from shards.unit_key import UnitKey

_REASONS = VERDICT.field("drop_reasons").type

Candidates = dict[str, list[str]]  # by first drop reason: ids, as hex digits


@dataclass(frozen=True)
class Removal:
    """What a global stage removed from a block."""

    reason: str
    verdicts: Path  # may be missing
    first: int  # number of the block's first text row in the verdicts


def candidates(ids: pa.ChunkedArray, reasons: pa.ChunkedArray, per_rule: int) -> Candidates:
    """The `per_rule` smallest ids of each first reason; none where that is 0 or all are wanted."""
    if per_rule <= 0:
        return {}
    dropped = pc.greater(pc.list_value_length(reasons), 0)
    of_reason: Candidates = {}
    firsts = pc.list_element(reasons.filter(dropped), 0).to_pylist()
    for reason, id_ in zip(firsts, ids.filter(dropped).to_pylist(), strict=True):
        of_reason.setdefault(reason, []).append(id_)
    return {reason: nsmallest(per_rule, of_rule, key=_number) for reason, of_rule in of_reason.items()}


def chosen_ids(blocks: Iterable[Candidates], per_rule: int) -> set[str]:
    """The `per_rule` smallest ids of each reason; memory grows with reasons × `per_rule`."""
    smallest: Candidates = {}
    for block in blocks:
        for reason, ids in block.items():
            held = smallest.setdefault(reason, [])
            largest = _number(held[-1]) if len(held) >= per_rule > 0 else None
            if new := [id_ for id_ in ids if largest is None or _number(id_) < largest]:
                smallest[reason] = nsmallest(per_rule, [*held, *new], key=_number)
    return {id_ for ids in smallest.values() for id_ in ids}


def write_dropped(
    run: RunFolder, blocks: Iterable[tuple[UnitKey, list[list[Removal]]]], chosen: set[str] | None
) -> None:
    """Write the texts of the `chosen` ids, of all where that is None.

    `blocks` are the blocks of the run in their order, each with what the global stages of every pass removed from it.
    """
    ids = None if chosen is None else pa.array(sorted(chosen), pa.string())
    with run.sink(RunFolder.DROPPED_TEXTS, DROPPED) as sink:
        for key, removals in blocks:
            parts, units = [DROPPED.empty_table()], [np.zeros(0, np.int64)]
            for unit_of, part in _texts(run, key, removals, ids):
                parts.append(part)
                units.append(unit_of)
            order = np.argsort(np.concatenate(units), kind="stable")
            for batch in pa.concat_tables(parts).take(pa.array(order)).combine_chunks().to_batches():
                sink.write(batch)


def _texts(
    run: RunFolder, key: UnitKey, removals: list[list[Removal]], chosen: pa.Array | None
) -> Iterator[tuple[np.ndarray, pa.Table]]:
    """(the unit of each row, the rows): those that the rules of each pass dropped, then those that its global stages
    removed."""
    for number, of_pass in enumerate(removals):
        made = read_block(run.path(run.pass_manifest(number, key)))
        dropped = run.path(run.pass_file(number, key, "dropped"))
        rows, part = _rows(dropped, chosen, None)
        yield made.units_of("dropped_rows")[rows], part.select(DROPPED.names)
        text = run.path(run.pass_file(number, key, "text"))
        for removal in of_pass:
            removed = read_verdicts(removal.verdicts, removal.first, made.live_rows, ["row"])
            if not removed.num_rows:
                continue
            rows, part = _rows(text, chosen, removed["row"].to_numpy())
            part = part.append_column("drop_reasons", pa.array([[removal.reason]] * len(rows), _REASONS))
            yield made.units_of("live_rows")[rows], part.select(DROPPED.names)


def _rows(path: Path, chosen: pa.Array | None, wanted: np.ndarray | None) -> tuple[np.ndarray, pa.Table]:
    """(numbers, rows) of the file that are among the `wanted` numbers and have one of the `chosen` ids.

    A batch without such a row is not decompressed but for its ids.
    """
    columns = [name for name in DROPPED.names if name in open_arrow(path).schema.names]
    numbers, parts, first = [np.zeros(0, np.int64)], [], 0
    for batch_number, ids in enumerate(read_batches(path, ["id"])):
        mask = np.ones(len(ids), np.bool_) if wanted is None else np.isin(np.arange(first, first + len(ids)), wanted)
        if chosen is not None and mask.any():
            mask &= pc.is_in(ids["id"], value_set=chosen).to_numpy(zero_copy_only=False)
        if mask.any():
            (batch,) = read_batches(path, columns, [batch_number])
            parts.append(batch.filter(pa.array(mask)))
            numbers.append(first + np.flatnonzero(mask))
        first += len(ids)
    schema = pa.schema([DROPPED.field(name) for name in columns])
    return np.concatenate(numbers), pa.Table.from_batches([part.cast(schema) for part in parts], schema)


def _number(id_: str) -> int:
    return int(id_, 16)
