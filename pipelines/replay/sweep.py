"""Settings with several values: `--set STAGE.KEY=10,30,100` stands for three forecasts."""

import re
from collections.abc import Iterator, Sequence
from itertools import product

_NUMBER = r"[-+]?\d[\d_]*(?:\.\d+)?(?:[eE][-+]?\d+)?"
_VALUES = re.compile(rf"(?P<key>[^=]+)=(?P<values>\s*{_NUMBER}(?:\s*,\s*{_NUMBER})+\s*)")


def is_sweep(settings: Sequence[str]) -> bool:
    return any(map(_VALUES.fullmatch, settings))


def combinations(settings: Sequence[str]) -> Iterator[list[str]]:
    """Each combination of the values as settings with one value; the settings themselves where none has several."""
    yield from map(list, product(*map(_each, settings)))


def _each(setting: str) -> list[str]:
    if (found := _VALUES.fullmatch(setting)) is None:
        return [setting]
    return [f"{found['key']}={value.strip()}" for value in found["values"].split(",")]
