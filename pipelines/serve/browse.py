"""Filter, sort and page over the ledger of a finished run, without reading it whole.

    query ──polars, lazily, the columns that it names──▶ u32[rows]: the numbers of matching rows, in order
                                                          └─ kept for the next pages ──▶ 50 rows ──▶ a page

Memory is 4 bytes a matching row, for a few queries, and 30 a row while a sort goes on; columns are never kept.
"""

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipelines.ledger.table import Ledger
from shards import mirror
from shards.errors import UserError
from shards.schema import KEPT

if TYPE_CHECKING:
    import polars

PAGE_ROWS = 50
DROPPED = "dropped"  # the fate of documents with any drop reason
_QUERIES = 4  # whose row numbers are kept
_MOST_ROWS = 10_000_000  # that are paged over: 40 MB a query


@dataclass(frozen=True)
class Range:
    """Values of a column that are shown, both ends included; rows without a value are not."""

    column: str
    least: float | None
    most: float | None


@dataclass(frozen=True)
class Query:
    """Which rows are shown, in which order. An empty string asks for nothing."""

    url: str = ""  # a part of the URL, as it is written
    host: str = ""  # a host, or a domain with all hosts below it
    fate: str = ""  # "kept", "dropped" or a drop reason, which need not be the first
    language: str = ""
    ranges: tuple[Range, ...] = ()
    sort: str = ""  # a column of numbers; else rows are in the order of the crawl
    descending: bool = False


@dataclass(frozen=True)
class Matches:
    """The rows of a query."""

    rows: np.ndarray  # u32: their numbers, in order
    is_all: bool  # False: there are more, which no page shows

    @property
    def pages(self) -> int:
        return max(1, -(-len(self.rows) // PAGE_ROWS))


class Browser:
    """The ledger of one finished run. Threads may share it; one query runs at a time."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._found: OrderedDict[Query, Matches] = OrderedDict()
        self._lock = Lock()

    @property
    def numeric(self) -> list[str]:
        """The columns that a range or a sort may name."""
        types = ((field.name, field.type) for field in self.ledger.schema)
        return [name for name, of in types if pa.types.is_integer(of) or pa.types.is_floating(of)]

    def matches(self, query: Query) -> Matches:
        """UserError where the query names a column that the ledger has not."""
        for column in (*(r.column for r in query.ranges), *([query.sort] if query.sort else [])):
            if column not in self.numeric:
                raise UserError(f"{column}: no column of numbers of this ledger")
        with self._lock:
            if query not in self._found:
                self._found[query] = self._find(query)
            self._found.move_to_end(query)
            while len(self._found) > _QUERIES:
                self._found.popitem(last=False)
            return self._found[query]

    def page(self, query: Query, number: int, columns: Sequence[str]) -> list[dict[str, Any]]:
        """The rows of page `number`, from 0 on, with their own number as "row"."""
        rows = self.matches(query).rows[number * PAGE_ROWS : (number + 1) * PAGE_ROWS].tolist()
        facts = self.ledger.rows(rows, list(columns))
        return [{"row": row} | of_row for row, of_row in zip(rows, facts, strict=True)]

    def _find(self, query: Query) -> Matches:
        if query == Query():
            shown = min(self.ledger.num_rows, _MOST_ROWS)
            return Matches(np.arange(shown, dtype=np.uint32), shown == self.ledger.num_rows)
        import polars as pl

        paths = [str(path) for path in mirror.ahead(self.ledger.paths)]
        rows = pl.scan_ipc(paths, row_index_name="row", glob=False)
        for condition in self._conditions(query):
            rows = rows.filter(condition)
        if query.sort:
            both = rows.select("row", query.sort).collect(engine="streaming")
            order = _order(both[query.sort], descending=query.descending)[: _MOST_ROWS + 1]
            found = both["row"].to_numpy()[order]
        else:
            found = rows.select("row").head(_MOST_ROWS + 1).collect(engine="streaming")["row"].to_numpy()
        return Matches(found[:_MOST_ROWS].astype(np.uint32), len(found) <= _MOST_ROWS)

    def _conditions(self, query: Query) -> "list[polars.Expr]":
        import polars as pl

        url, reasons = pl.col("url"), pl.col("drop_reasons")
        conditions = []
        if query.url:
            conditions.append(url.str.contains(query.url, literal=True))
        if query.host:
            host = re.escape(query.host.removeprefix("www."))
            conditions.append(url.str.contains(rf"(?i)^[a-z][a-z0-9+.-]*://([^/?#]*[@.])?{host}\.?(:\d+)?([/?#]|$)"))
        if query.fate == KEPT:
            conditions.append(reasons.list.len() == 0)
        elif query.fate == DROPPED:
            conditions.append(reasons.list.len() > 0)
        elif query.fate:
            conditions.append(reasons.list.contains(query.fate))
        if query.language:
            if "language" not in self.ledger.schema.names:
                raise UserError("language: this run identified none")
            conditions.append(pl.col("language") == query.language)
        for of in query.ranges:
            column = pl.col(of.column)
            if of.least is not None:
                conditions.append(column >= of.least)
            if of.most is not None:
                conditions.append(column <= of.most)
        return conditions


def _order(values: "polars.Series", *, descending: bool) -> np.ndarray:
    """i64[rows]: the rows by value, equal ones in their order, those without a value last.

    numpy sorts 5 million values several times as fast as polars keeps the order of equal ones.
    """
    valid = values.is_not_null().to_numpy()
    measured = np.flatnonzero(valid)
    sorted_by = values.drop_nulls().to_numpy()
    order = measured[np.argsort(-sorted_by if descending else sorted_by, kind="stable")]
    return np.concatenate([order, np.flatnonzero(~valid)])
