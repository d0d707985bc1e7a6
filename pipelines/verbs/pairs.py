"""`gristmill pairs`: every pair of duplicates that a run verified, with the URLs and fates of both documents.

    dedup/<stage>/edges.arrow ─┐
    ledger: (twin, id) of all  ├─▶ stage, id_a, id_b, similarity ─ids─▶ ledger ──▶ url_a, url_b, fate_a, fate_b
      removed for a twin    ───┘

`a` comes first in keep order. Each removed document stands there beside its twin: a pair from the ledger that is among
the edges too is written once. `_AT_ONCE` pairs are handled at a time, and for each such part four columns of the ledger
are read once, so memory does not grow with the run.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dedup.files.documents import parse_ids
from pipelines.ledger.clusters import first_reasons
from pipelines.ledger.rules import stages_of
from pipelines.ledger.table import Ledger
from shards import mirror
from shards.atomic import atomic_file
from shards.errors import UserError
from shards.exchange import EDGES_FILE
from shards.schema import KEPT
from shards.sink import ArrowSink, read_batches

PAIRS = pa.schema(
    [
        pa.field("stage", pa.string()),
        pa.field("id_a", pa.string()),
        pa.field("id_b", pa.string()),
        pa.field("similarity", pa.float64()),
        pa.field("url_a", pa.string()),
        pa.field("url_b", pa.string()),
        pa.field("fate_a", pa.string()),  # "kept" or the first drop reason; null: a document of another run
        pa.field("fate_b", pa.string()),
    ]
)
_FOUND = ["id_a", "id_b", "similarity"]
_AT_ONCE = 1 << 19


def print_pairs(run: Path, stream: TextIO, *, stage: str | None = None, min_similarity: float = 0.0) -> None:
    """The pairs as JSON lines."""
    for batch in pairs(run, stage=stage, min_similarity=min_similarity):
        stream.write(_json_lines(batch))


def write_pairs(run: Path, to: Path, *, stage: str | None = None, min_similarity: float = 0.0) -> int:
    """Write the file atomically, in the format of its name. Returns the number of pairs."""
    if to.suffix not in _WRITERS:
        raise UserError(f"{to}: unknown format; name it {', '.join(f'*{suffix}' for suffix in _WRITERS)}")
    found, number = pairs(run, stage=stage, min_similarity=min_similarity), 0
    with _WRITERS[to.suffix](to) as write:
        for batch in found:
            write(batch)
            number += batch.num_rows
    return number


def pairs(run: Path, *, stage: str | None = None, min_similarity: float = 0.0) -> Iterator[pa.RecordBatch]:
    """The pairs, schema PAIRS, stage after stage in the order of the run. UserError for an unknown stage."""
    ledger = Ledger.open(run)
    reasons = {name: why for name, _, why in stages_of(ledger.recipe) if why and why.startswith("dedup.")}
    if stage is not None and stage not in reasons:
        raise UserError(f"--stage {stage}: removes no duplicates here; stages that do are {', '.join(reasons)}")
    chosen = {name: reasons[name] for name in reasons if stage in (None, name)}
    return _pairs(ledger, chosen, min_similarity)


def _pairs(ledger: Ledger, reasons: dict[str, str], min_similarity: float) -> Iterator[pa.RecordBatch]:
    for stage, reason in reasons.items():
        edges = ledger.run.path(ledger.run.dedup(stage, EDGES_FILE))
        if mirror.exists(edges):
            for table in _parts(read_batches(edges, _FOUND), min_similarity):
                yield _described(ledger, stage, table)
        for table in _parts(_twins(ledger, reason), min_similarity):
            if mirror.exists(edges):
                table = _without(table, edges)
            if table.num_rows:
                yield _described(ledger, stage, table)


def _parts(batches: Iterator[pa.RecordBatch], min_similarity: float) -> Iterator[pa.Table]:
    """Tables of about `_AT_ONCE` pairs, without those that are less similar."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        if min_similarity > 0:  # pairs that were not verified have none
            batch = batch.filter(pc.greater_equal(batch["similarity"], min_similarity))
        held.append(batch)
        if sum(part.num_rows for part in held) >= _AT_ONCE:
            yield pa.Table.from_batches(held)
            held = []
    if any(batch.num_rows for batch in held):
        yield pa.Table.from_batches(held)


def _twins(ledger: Ledger, reason: str) -> Iterator[pa.RecordBatch]:
    """(twin, id, similarity) of every document removed for `reason`."""
    for path in ledger.paths:
        for batch in read_batches(path, ["twin", "id", "similarity", "drop_reasons"]):
            rows = (first_reasons(batch["drop_reasons"], [reason]) == 0) & batch["twin"].is_valid().to_numpy(False)
            removed = batch.filter(pa.array(rows))
            yield pa.RecordBatch.from_arrays([removed["twin"], removed["id"], removed["similarity"]], names=_FOUND)


def _without(table: pa.Table, edges: Path) -> pa.Table:
    """The pairs that are not among the edges."""
    wanted = np.sort(_keys(table))
    seen = np.zeros(len(wanted), np.bool_)
    for batch in read_batches(edges, ["id_a", "id_b"]):
        keys = _keys(pa.Table.from_batches([batch]))
        places = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
        seen[places[wanted[places] == keys]] = True
    return table.filter(pa.array(~seen[np.searchsorted(wanted, _keys(table))]))


def _keys(table: pa.Table) -> np.ndarray:
    """u64: a hash of the ids of each pair."""
    first, second = (parse_ids(pa.concat_arrays(table[name].chunks)) for name in ("id_a", "id_b"))
    keys = np.zeros(table.num_rows, np.uint64)
    for half in (*first.T, *second.T):
        keys = keys * np.uint64(0x9E3779B97F4A7C15) + half
    return keys


def _described(ledger: Ledger, stage: str, table: pa.Table) -> pa.RecordBatch:
    """The pairs with the URLs and fates of both documents."""
    table = table.combine_chunks()
    ids = pc.unique(pa.chunked_array([*table["id_a"].chunks, *table["id_b"].chunks], pa.string()))
    urls, fates = _known(ledger, ids)
    columns = {"stage": pa.repeat(stage, table.num_rows), **{name: table[name] for name in _FOUND}}
    for end in ("a", "b"):
        places = pc.index_in(table[f"id_{end}"], value_set=ids)
        columns |= {f"url_{end}": urls.take(places), f"fate_{end}": fates.take(places)}
    (batch,) = pa.table({name: columns[name] for name in PAIRS.names}, PAIRS).combine_chunks().to_batches()
    return batch


def _known(ledger: Ledger, ids: pa.Array) -> tuple[pa.Array, pa.Array]:
    """(URLs, fates) of `ids`, null where the ledger has none. Of one record given twice it is the one compared."""
    places, urls, fates = [], [], []
    for path in ledger.paths:
        for batch in read_batches(path, ["id", "url", "drop_reasons"]):
            found = pc.index_in(batch["id"], value_set=ids)
            again = first_reasons(batch["drop_reasons"], ["dedup.same_record"]) == 0
            mask = pc.and_(found.is_valid(), pa.array(~again))
            lists = batch["drop_reasons"].filter(mask).to_pylist()
            places.append(found.filter(mask))
            urls.append(batch["url"].filter(mask))
            fates.append(pa.array([reasons[0] if reasons else KEPT for reasons in lists], pa.string()))
    at = np.full(len(ids), -1, np.int64)
    at[pa.concat_arrays(places).to_numpy()] = np.arange(sum(map(len, places)))
    index = pa.array(at, mask=at < 0)
    return pa.concat_arrays(urls).take(index), pa.concat_arrays(fates).take(index)


def _json_lines(batch: pa.RecordBatch) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in batch.to_pylist())


Write = Callable[[pa.RecordBatch], Any]


@contextmanager
def _lines(to: Path, text: Callable[[pa.RecordBatch], str], head: str) -> Iterator[Write]:
    with atomic_file(to) as file:
        file.write(head.encode())
        yield lambda batch: file.write(text(batch).encode(errors="surrogatepass"))


def _csv(batch: pa.RecordBatch) -> str:
    text = io.StringIO()
    csv.DictWriter(text, PAIRS.names, lineterminator="\n").writerows(batch.to_pylist())
    return text.getvalue()


@contextmanager
def _parquet(to: Path) -> Iterator[Write]:
    with atomic_file(to) as file, pq.ParquetWriter(_stream(file), PAIRS, compression="zstd") as writer:
        yield writer.write_batch


def _stream(file: IO[bytes]) -> pa.PythonFile:
    return pa.PythonFile(file, mode="w")


@contextmanager
def _arrow(to: Path) -> Iterator[Write]:
    with ArrowSink(to, PAIRS) as sink:
        yield sink.write


_WRITERS: dict[str, Callable[[Path], AbstractContextManager[Write]]] = {
    ".jsonl": partial(_lines, text=_json_lines, head=""),
    ".csv": partial(_lines, text=_csv, head=",".join(PAIRS.names) + "\n"),
    ".parquet": _parquet,
    ".arrow": _arrow,
}
