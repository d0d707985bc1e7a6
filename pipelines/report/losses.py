"""What deduplication takes from each source and each domain, in documents and characters.

    before = what no rule dropped = after (kept) + lost to exact + lost to near + …      (cut passages: characters only)

So shares before and after tell how the mixture shifts. Names beyond `limit` are forgotten from the rare end, as in
`tally.TopCounter`; sources never are so many.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

_NAMES = 1 << 16  # that are held before the half with the fewest documents is forgotten; 16 MB


class Losses:
    """Sums by name. Rows that a rule dropped are not given to it."""

    def __init__(self, reasons: Sequence[str], limit: int = _NAMES) -> None:
        self.reasons = tuple(reasons)
        self._limit = limit
        self._sums: dict[str, np.ndarray] = {}  # i64[2, 1 + reasons]: documents and characters, kept and lost
        self.missed = 0  # documents by which a name's counts can be too small at most

    def add(self, names: Sequence[str], lost: np.ndarray, chars: np.ndarray, cut: dict[int, np.ndarray]) -> None:
        """`lost` i64[rows] is a place in `reasons`, or -1 of a kept row; `cut` are characters that reasons cut out."""
        encoded = pa.array(names, pa.string()).dictionary_encode()
        kinds = 1 + len(self.reasons)
        codes = encoded.indices.to_numpy()
        places, size = codes * kinds + lost + 1, len(encoded.dictionary) * kinds
        sums = np.stack([np.bincount(places, minlength=size), np.bincount(places, chars, size).astype(np.int64)])
        for reason, removed in cut.items():
            sums[1] += np.bincount(codes * kinds + reason + 1, removed, size).astype(np.int64)
        for number, name in enumerate(encoded.dictionary.to_pylist()):
            found = sums[:, number * kinds : (number + 1) * kinds]
            self._sums[name] = self._sums[name] + found if name in self._sums else found.copy()
        if len(self._sums) > self._limit:
            ranked = sorted(self._sums, key=lambda name: (-int(self._sums[name][0].sum()), name))
            self.missed += int(self._sums[ranked[self._limit // 2]][0].sum())
            self._sums = {name: self._sums[name] for name in ranked[: self._limit // 2]}

    def rows(self, of: str) -> list[dict[str, Any]]:
        """A row for each name under the key `of`: who loses most characters first, ties by name."""
        total = np.sum([np.zeros((2, 1 + len(self.reasons)), np.int64), *self._sums.values()], axis=0)
        rows = [self._row(of, name, sums, total) for name, sums in self._sums.items()]
        return sorted(rows, key=lambda row: (-row["lost_characters"], -row["lost_documents"], row[of]))

    def _row(self, of: str, name: str, sums: np.ndarray, total: np.ndarray) -> dict[str, Any]:
        row: dict[str, Any] = {of: name}
        for what, counts, all_counts in zip(("documents", "characters"), sums.tolist(), total.tolist(), strict=True):
            row |= {
                f"{what}_before": sum(counts),
                f"lost_{what}": sum(counts[1:]),
                f"share_of_{what}_before": _share(sum(counts), sum(all_counts)),
                f"share_of_{what}_after": _share(counts[0], all_counts[0]),
            }
        documents, characters = sums[:, 1:].tolist()
        row["stages"] = [
            {"reason": reason, "lost_documents": n, "lost_characters": c}
            for reason, n, c in zip(self.reasons, documents, characters, strict=True)
        ]
        return row


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None
