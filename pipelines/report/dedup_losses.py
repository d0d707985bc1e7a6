"""What deduplication takes from each source and each domain, in documents and characters.

    before = documents that no rule dropped = after (kept) + lost to exact + lost to near + …

Passages that are cut out of kept documents count as lost characters. The shares before and after show how the mixture
shifts. Beyond `limit` names, the half with the fewest documents is forgotten, as in `TopCounter`; no run has so many
sources.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa

from pipelines.report.model import Loss, StageLoss, rounded_share

_MAX_NAMES = 1 << 16  # that are held; 16 MB

LossKind = TypeVar("LossKind", bound=Loss)


class Losses:
    """Sums by name over documents that no rule dropped: those that are kept, and those that stages removed."""

    def __init__(self, reasons: Sequence[str], limit: int = _MAX_NAMES) -> None:
        self.reasons = tuple(reasons)
        self._limit = limit
        self._sums: dict[str, np.ndarray] = {}  # i64[2, 1 + reasons]: documents and characters, kept and lost
        self.missed = 0  # documents by which the counts of a name can be too small

    def add(self, names: Sequence[str], lost_to: np.ndarray, chars: np.ndarray, cut: Mapping[int, np.ndarray]) -> None:
        """Count documents: i64[rows] `lost_to` is an index into `reasons`, or -1 for a kept document.

        `cut` holds, by index of a reason, the characters that it cut out of each document.
        """
        encoded = pa.array(names, pa.string()).dictionary_encode()
        num_columns = 1 + len(self.reasons)
        codes = encoded.indices.to_numpy()
        cells, size = codes * num_columns + lost_to + 1, len(encoded.dictionary) * num_columns
        sums = np.stack([np.bincount(cells, minlength=size), np.bincount(cells, chars, size).astype(np.int64)])
        for reason, cut_chars in cut.items():
            sums[1] += np.bincount(codes * num_columns + reason + 1, cut_chars, size).astype(np.int64)
        for number, name in enumerate(encoded.dictionary.to_pylist()):
            added = sums[:, number * num_columns : (number + 1) * num_columns]
            self._sums[name] = self._sums[name] + added if name in self._sums else added.copy()
        if len(self._sums) > self._limit:
            ranked = sorted(self._sums, key=lambda name: (-int(self._sums[name][0].sum()), name))
            self.missed += int(self._sums[ranked[self._limit // 2]][0].sum())
            self._sums = {name: self._sums[name] for name in ranked[: self._limit // 2]}

    def rows(self, kind: type[LossKind]) -> tuple[LossKind, ...]:
        """A row for each name; most lost characters first, then most lost documents, then by name."""
        total = np.sum([np.zeros((2, 1 + len(self.reasons)), np.int64), *self._sums.values()], axis=0)
        rows = [self._row(kind, name, sums, total) for name, sums in self._sums.items()]
        return tuple(sorted(rows, key=lambda row: (-row.lost_characters, -row.lost_documents, row.name)))

    def _row(self, kind: type[LossKind], name: str, sums: np.ndarray, total: np.ndarray) -> LossKind:
        documents, characters = sums.tolist()
        all_documents, all_characters = total.tolist()
        return kind(
            name=name,
            documents_before=sum(documents),
            lost_documents=sum(documents[1:]),
            share_of_documents_before=rounded_share(sum(documents), sum(all_documents)),
            share_of_documents_after=rounded_share(documents[0], all_documents[0]),
            characters_before=sum(characters),
            lost_characters=sum(characters[1:]),
            share_of_characters_before=rounded_share(sum(characters), sum(all_characters)),
            share_of_characters_after=rounded_share(characters[0], all_characters[0]),
            stages=tuple(map(StageLoss, self.reasons, documents[1:], characters[1:])),
        )
