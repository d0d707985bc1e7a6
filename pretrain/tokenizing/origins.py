"""Origins of documents: the rows of a run's ledger and the records of the crawl that they come from.

    RUN/shards/web/web-00003-000.arrow   the rows of its ledger without drop reasons, in their order
        ledger/web-00003-000.arrow

A token shard carries them, so that a training can name the record of each of its tokens when the run is gone.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shards import mirror
from shards.schema import PROVENANCE
from shards.sink import open_arrow, read_table
from shards.tokens import UNKNOWN

log = logging.getLogger(__name__)

_RECORD = ("warc_file", "warc_offset")


def record_columns(shard: Path) -> list[str]:
    """The columns of the text shard that say where each document's record lies; none where it has not got both."""
    schema = open_arrow(shard).schema
    fields = [PROVENANCE.field(name) for name in _RECORD]
    has_both = all(field.name in schema.names and schema.field(field.name).type == field.type for field in fields)
    return list(_RECORD) if has_both else []


def ledger_rows(shard: Path) -> np.ndarray | None:
    """int64[documents]: the row of each document in its unit's ledger; None where the shard lies beside no ledger.

    RunError where the ledger is damaged.
    """
    _, folder, run, *_ = [*shard.absolute().parents, Path(), Path()]
    if folder.name != "shards" or not mirror.exists(path := run / "ledger" / shard.name):
        return None
    ledger = read_table(path, ["id", "drop_reasons"])
    is_kept = pc.equal(pc.list_value_length(ledger["drop_reasons"]), 0)
    if ledger["id"].filter(is_kept).to_pylist() != read_table(shard, ["id"])["id"].to_pylist():
        log.warning("event=ledger_not_used %s: the documents that it keeps are not those of %s", path, shard)
        return None
    return np.flatnonzero(is_kept.to_numpy())


def document_origins(batch: pa.RecordBatch, unit: str, rows: np.ndarray | None, first: int) -> Sequence[pa.Array]:
    """The columns `unit`, `ledger_row`, `warc_file` and `warc_offset` of documents.

    `rows` are the `ledger_rows` of the whole shard, in which the batch begins at document `first`.
    """
    units = pa.array([unit] * batch.num_rows, pa.string())
    here = np.full(batch.num_rows, UNKNOWN) if rows is None else rows[first : first + batch.num_rows]
    if _RECORD[0] in batch.schema.names:
        files, offsets = pc.fill_null(batch["warc_file"], ""), pc.fill_null(batch["warc_offset"], UNKNOWN)
    else:
        files, offsets = pa.array([""] * batch.num_rows), pa.array(np.full(batch.num_rows, UNKNOWN))
    return units, pa.array(here, pa.int64()), files, offsets
