"""The one place where a global stage says which rows leave: `folder/<key>.arrow`, one file per unit that loses some."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from dedup.documents import format_ids
from shards.exchange import VERDICTS, ExchangeUnit
from shards.sink import ArrowSink


def write_verdicts(
    folder: Path, units: Sequence[ExchangeUnit], removed: np.ndarray, twins: np.ndarray, similarities: np.ndarray
) -> None:
    """`removed` u64[n] are addresses, each once; `twins` u64[n, 2] the ids of the kept; `similarities` f64[n]."""
    order = np.argsort(removed)
    removed, twins, similarities = removed[order], twins[order], similarities[order]
    for unit in units:
        first, end = np.searchsorted(removed, np.array([unit.number, unit.number + 1], np.uint64) << np.uint64(32))
        if first == end:
            continue
        rows = (removed[first:end] & np.uint64(0xFFFFFFFF)).astype(np.int64)
        columns = [pa.array(rows), format_ids(twins[first:end]), pa.array(similarities[first:end])]
        with ArrowSink(folder / f"{unit.key}.arrow", VERDICTS) as sink:
            sink.write(pa.RecordBatch.from_arrays(columns, schema=VERDICTS))
