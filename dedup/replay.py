"""Helpers with which stages decide a finished run again: removed for others, equal keys, keep order.

`shards.replay` says what a stage sees of the run. A row is *sure* or only *possible* there, so a decision has two
parts: rows that are removed in any case, and rows that stay in one case and are removed in another.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dedup.files.documents import describe, keep_order, parse_ids
from dedup.keep import KeepBy
from shards.exchange import Block
from shards.replay import FinishedRun


def remove_for_others(run: FinishedRun, threshold: float | None = None) -> None:
    """Rows whose twin is no row that passed the stage are removed again.

    Their twin is a document of another run, or was removed on request. A `threshold` spares rows less similar to it.
    """
    rows = np.flatnonzero(run.possible & run.removed)
    twins = run.column("twin").take(pa.array(rows))
    rows = rows[twins.is_valid().to_numpy(zero_copy_only=False)]
    rows = rows[run.find(twins.drop_null(), run.passed) < 0]
    if threshold is not None and len(rows):
        similarity = run.column("similarity").take(pa.array(rows))
        rows = rows[pc.fill_null(pc.greater_equal(similarity, threshold), True).to_numpy(False)]
    run.drop(rows)


def remove_equal_rows(run: FinishedRun, rows: np.ndarray, groups: np.ndarray, keep: KeepBy) -> None:
    """Of `rows` with equal numbers in `groups`, all but the first in keep order are removed."""
    several = np.bincount(groups)[groups] > 1
    rows, groups = rows[several], groups[several]
    if not len(rows):
        return
    order = keep_order(documents_of(run, rows, keep))
    order = order[np.argsort(groups[order], kind="stable")]
    rows, groups = rows[order], groups[order]
    removed, unsure = equal_rows(groups, run.sure[rows])
    run.drop(rows[removed])
    run.unsure(rows[unsure])


def equal_rows(groups: np.ndarray, sure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(removed, unsure), bool[rows]: the first row of a group stays. `groups` ascends, and each is in keep order."""
    first = np.searchsorted(groups, groups)
    sure_before = np.cumsum(sure) - sure
    sure_before -= sure_before[first]
    return sure_before > 0, (np.arange(len(groups)) > first) & (sure_before == 0)


def recorded_groups(run: FinishedRun, rows: np.ndarray) -> np.ndarray:
    """i64[rows]: equal for rows that the run found equal, by their twins."""
    groups = rows.copy()
    removed = run.removed[rows]
    twins = run.find(run.column("twin").take(pa.array(rows[removed])), run.passed)
    assert (twins >= 0).all(), "a removed row's twin passed the stage, or `remove_for_others` dropped the row"
    groups[removed] = twins
    return groups


def groups_of_keys(
    run: FinishedRun, rows: np.ndarray, keys: pa.Array, asked: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(rows, groups): those of `rows` whose key equals the key of a row that was asked for, within the stage's scope.

    `asked` is bool[all rows]; in `rows` those that were asked for come first.
    """
    wanted = keys[: np.count_nonzero(asked[rows])].drop_null()
    equal = pc.index_in(keys, value_set=wanted)
    rows, groups = rows[equal.is_valid().to_numpy(zero_copy_only=False)], equal.drop_null().to_numpy()
    if (scopes := run.groups).any():
        groups = np.unique(groups * (scopes.max() + 1) + scopes[rows], return_inverse=True)[1]
    return rows, groups


def documents_of(run: FinishedRun, rows: np.ndarray, keep: KeepBy) -> np.ndarray:
    """DOCUMENT[rows], from which `keep_order` follows as it did in the run."""
    names = ["id", *keep.recorded_columns()]
    batch = pa.RecordBatch.from_arrays([run.column(name).take(pa.array(rows)) for name in names], names=names)
    return describe(Block(0, "", ()), rows, batch, keep)


def ids_of(run: FinishedRun, rows: np.ndarray) -> np.ndarray:
    """u64[rows, 2]."""
    return parse_ids(run.column("id").take(pa.array(rows)))
