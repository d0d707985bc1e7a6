"""Where each rule's dropped documents come from, and which rules fall together.

first reason × language | host | suffix    documents, of all documents with that name
rule × rule                                documents outside the thresholds of both
"""

from collections.abc import Iterator, Sequence

import numpy as np

from pipelines.ledger.sketch import TopCounter
from pipelines.report.model import Split, Together

_SHOWN = 5
_MAX_NAMES = 1 << 14  # that are counted for a rule


class Splits:
    """Counts of one kind of name by drop reason. Where there are too many names, the rarest are forgotten."""

    def __init__(self) -> None:
        self.all = TopCounter()
        self._by_reason: dict[int, TopCounter] = {}

    def add(self, names: np.ndarray, first: np.ndarray, kept: int) -> None:
        """Count a batch: object[rows] `names`, "" where there is none, and i64[rows] the codes of first reasons."""
        named = names != ""
        self.all.update(names[named].tolist())
        names, first = names[named], first[named]
        order = np.argsort(first, kind="stable")
        codes, begins = np.unique(first[order], return_index=True)
        ends = [*begins[1:].tolist(), len(order)][: len(codes)]
        for code, begin, end in zip(codes.tolist(), begins.tolist(), ends, strict=True):
            if 0 <= code < kept:
                counter = self._by_reason.setdefault(code, TopCounter(_MAX_NAMES))
                counter.update(names[order[begin:end]].tolist())

    def of(self, code: int) -> tuple[Split, ...]:
        """The names of which the reason with this code drops most documents."""
        top = self._by_reason[code].top(_SHOWN) if code in self._by_reason else []
        return tuple(Split(name, number, max(number, self.all.count(name))) for name, number in top)


class Overlaps:
    """Counts of documents that fail two rules."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self._reasons = tuple(dict.fromkeys(reasons))
        self._rows = [self._reasons.index(reason) for reason in reasons]
        self._counts = np.zeros((len(self._reasons),) * 2, np.int64)

    def add(self, fails: np.ndarray) -> None:
        """Count a batch: bool[rules, rows]."""
        some = fails[:, fails.sum(axis=0) > 1]
        by_reason = np.zeros((len(self._reasons), some.shape[1]), np.float32)
        for row, of_rule in zip(self._rows, some, strict=True):
            by_reason[row][of_rule] = 1
        self._counts += np.rint(by_reason @ by_reason.T).astype(np.int64)

    def of(self, reason: str) -> tuple[Together, ...]:
        """The rules that most documents fail together with this one."""
        if reason not in self._reasons:
            return ()
        return tuple(self._of(self._reasons.index(reason)))

    def _of(self, number: int) -> Iterator[Together]:
        counts = self._counts[number].copy()
        counts[number] = 0
        for other in np.argsort(-counts, kind="stable")[:_SHOWN].tolist():
            if counts[other]:
                yield Together(self._reasons[other], int(counts[other]))
