"""A finished run as a global stage sees it when it is decided again, without reading any text.

Rows are numbered through the whole ledger. `whatif` knows some rows only as *possible*: other settings let them come
back, and a later stage has not measured them. So every row is in one of three states, as two masks:

    sure               in the run in any case
    possible, not sure perhaps in the run
    not possible       dropped in any case

A stage's `replay` moves rows between these states; it never reads files by itself.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa

Cause = Literal["unmeasured", "uncompared"]  # why a row is doubtful: a later stage, or deduplication, must see it


class FinishedRun(Protocol):
    """What a stage may ask of a run, and say of its rows. Masks are bool[rows] and must not be written to."""

    @property
    def sure(self) -> np.ndarray: ...

    @property
    def possible(self) -> np.ndarray: ...

    @property
    def entered(self) -> np.ndarray:
        """Rows that reached this stage when the run was made."""
        ...

    @property
    def passed(self) -> np.ndarray:
        """Rows that went on from this stage when the run was made."""
        ...

    @property
    def removed(self) -> np.ndarray:
        """Rows that this stage removed when the run was made."""
        ...

    @property
    def groups(self) -> np.ndarray:
        """i64[rows]: rows with equal numbers are compared, by the stage's `scope`."""
        ...

    @property
    def edges(self) -> pa.Table:
        """The verified pairs that this stage kept: id_a, id_b, similarity."""
        ...

    @property
    def later_stages_read_text(self) -> Sequence[str]:
        """Names of the global stages after this one that read the text."""
        ...

    @property
    def later_stages_have_rules(self) -> bool:
        """Whether a later local stage may drop rows."""
        ...

    def column(self, name: str) -> pa.Array:
        """The ledger's column `name`, all rows."""
        ...

    def parts(self, name: str) -> Iterator[tuple[int, pa.Array]]:
        """(first row, values) of the column, batch by batch: a column that is read once need not be held."""
        ...

    def find(self, ids: pa.Array, among: np.ndarray) -> np.ndarray:
        """i64[ids]: the last row with each id among the rows of the mask, -1 where there is none."""
        ...

    def measured(self, metric: str) -> np.ndarray:
        """Rows for which the run has decided whether `metric` has a value."""
        ...

    def drop(self, rows: np.ndarray) -> None:
        """These rows are removed by this stage."""
        ...

    def drop_recorded(self) -> None:
        """Possible rows that this stage removed when the run was made are removed again."""
        ...

    def unsure(self, rows: np.ndarray) -> None:
        """These rows stay in one case and are removed in another."""
        ...

    def doubt(self, rows: np.ndarray, cause: Cause) -> None:
        """Nobody knows whether these rows stay (indices or a mask), and `cause` says what would have to be done."""
        ...

    def texts_change(self) -> None:
        """Passages are cut from other documents: lengths of texts may differ from the recorded ones."""
        ...
