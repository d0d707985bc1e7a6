"""Which rows of a finished run a global stage compared with each other."""

import numpy as np

from pipelines.ledger.table import Ledger
from pipelines.run.opening import group_of_unit
from shards.exchange import GlobalStageConfig


def groups_of_rows(ledger: Ledger, stage: GlobalStageConfig) -> np.ndarray:
    """i64[rows]: rows with equal numbers were compared by `stage`; all 0 where it compares the whole run."""
    files = ledger.run.made_of().files()
    names = [group_of_unit(ledger.recipe, key, files[key.chain], stage) for key in ledger.keys]
    _, numbers = np.unique(np.array(names), return_inverse=True)
    rows: np.ndarray = np.repeat(numbers.astype(np.int64), np.diff(ledger.first_rows))
    return rows
