"""A query of the ledger as parameters of an address, both ways."""

import math
from collections.abc import Mapping, Sequence
from itertools import zip_longest

from pipelines.serve.browse import Query, Range
from shards.errors import UserError


def query_of(parameters: Mapping[str, Sequence[str]]) -> tuple[Query, int]:
    """(the query, the number of the page from 0 on); UserError for what is no number."""

    def first(name: str) -> str:
        return next(iter(parameters.get(name, [])), "").strip()

    columns, least, most = (parameters.get(name, []) for name in ("column", "least", "most"))
    ranges = (
        Range(column, _number(column, low), _number(column, high))
        for column, low, high in zip_longest(columns, least, most, fillvalue="")
        if column and (low.strip() or high.strip())
    )
    page = first("page")
    query = Query(
        url=first("url"),
        host=first("host"),
        fate=first("fate"),
        language=first("language"),
        ranges=tuple(ranges),
        sort=first("sort"),
        descending=bool(first("sort")) and first("order") == "down",
    )
    return query, int(page) if page.isdecimal() and len(page) < 12 else 0


def query_parameters(query: Query, page: int = 0) -> list[tuple[str, str]]:
    """The parameters of which `query_of` makes these again."""
    fixed = [("url", query.url), ("host", query.host), ("fate", query.fate), ("language", query.language)]
    for of in query.ranges:
        ends = ("" if value is None else repr(value) for value in (of.least, of.most))
        fixed += zip(("column", "least", "most"), (of.column, *ends), strict=True)
    fixed += [("sort", query.sort), ("order", "down" if query.descending else ""), ("page", str(page) if page else "")]
    return [(name, value) for name, value in fixed if value or name in ("least", "most")]


def _number(column: str, text: str) -> float | None:
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        raise UserError(f"{column}: {text!r} is no number") from None
    if math.isnan(value):
        raise UserError(f"{column}: {text!r} is no number")
    return int(value) if value.is_integer() else value
