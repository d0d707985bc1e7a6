"""Which rows a global stage compares with each other, told again from a finished run: `scope` of its settings."""

import numpy as np

from pipelines.ledger.table import Ledger
from pipelines.run.opening import read_made_of
from shards.exchange import Scope


def groups_of_rows(ledger: Ledger, scope: Scope) -> np.ndarray:
    """i64[rows]: rows with equal numbers were compared, as `pipelines.passes` groups the units."""
    names = [_group(ledger, path.stem, files, scope) for files in [_files(ledger)] for path in ledger.paths]
    _, numbers = np.unique(np.array(names), return_inverse=True)
    rows: np.ndarray = np.repeat(numbers.astype(np.int64), np.diff(ledger.first_rows))
    return rows


def _files(ledger: Ledger) -> dict[tuple[str, int], str]:
    """The name of each input by its source and number."""
    parts = (name.split("/", 2) for name in read_made_of(ledger.run)["input"])
    return {(source, int(number)): file for source, number, file in parts}


def _group(ledger: Ledger, key: str, files: dict[tuple[str, int], str], scope: Scope) -> str:
    source, number, _ = key.rsplit("-", 2)
    match scope:
        case "run":
            return ""
        case "source":
            return source
        case "snapshot":
            return ledger.recipe.sources[source].snapshot_of(source, files[source, int(number)])
