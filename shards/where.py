"""Selects rows by the values of their columns, one row at a time or a whole Arrow column at once.

where = { language = "ru" }                        equal
where = { fetch_status = [200, 304] }              one of several
where = { content_languages = { begins = "zho" } } begins so: a first language, a host, a year of a date
where = { score = { min = 0.5, max = 1 } }         within limits, which are selected too
"""

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shards.config import Config

Value: TypeAlias = str | int | float | bool


class Match(Config):
    """What a value must be like; all settings that are given hold."""

    begins: str | None = None
    min: float | int | None = None
    max: float | int | None = None


Wanted: TypeAlias = Value | tuple[Value, ...] | Match


def matches(value: Any, wanted: Wanted) -> bool:
    """Whether a row with this value is selected. A missing value matches nothing, and true is not 1."""
    if isinstance(wanted, tuple):
        return any(matches(value, one) for one in wanted)
    if not isinstance(wanted, Match):
        return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)
    if wanted.begins is not None and not (isinstance(value, str) and value.startswith(wanted.begins)):
        return False
    if wanted.min is None and wanted.max is None:
        return value is not None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return (wanted.min is None or value >= wanted.min) and (wanted.max is None or value <= wanted.max)


def mask(column: pa.Array, wanted: Wanted) -> np.ndarray:
    """bool[n], `matches` of each value of a column of strings, numbers or booleans; of another column none match."""
    if isinstance(wanted, tuple):
        any_of = np.zeros(len(column), bool)
        for one in wanted:
            any_of |= mask(column, one)
        return any_of
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    is_number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    none = np.zeros(len(column), bool)
    if not isinstance(wanted, Match):
        is_bool = pa.types.is_boolean(column.type)
        fits = is_text if isinstance(wanted, str) else is_bool if isinstance(wanted, bool) else is_number
        return _filled(pc.equal(column, pa.scalar(wanted))) if fits else none
    found = ~none
    if wanted.begins is not None:
        found &= _filled(pc.starts_with(column, wanted.begins)) if is_text else False
    if wanted.min is None and wanted.max is None:
        found &= _filled(pc.is_valid(column))
        return found
    if not is_number:
        return none
    if wanted.min is not None:
        found &= _filled(pc.greater_equal(column, pa.scalar(wanted.min)))
    if wanted.max is not None:
        found &= _filled(pc.less_equal(column, pa.scalar(wanted.max)))
    return found


def _filled(verdicts: pa.Array) -> np.ndarray:
    """Verdicts as bool[n]; that of a missing value is no."""
    filled: np.ndarray = verdicts.fill_null(False).to_numpy(zero_copy_only=False)
    return filled
