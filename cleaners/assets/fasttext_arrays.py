"""The arrays of a fastText classifier, read from its file without fastText.

    words, labels ──▶ table of words       n-grams' buckets ──▶ table of rows       matrices ──▶ float32

The layout is that which `fasttext_file` checks. A compressed matrix is multiplied out once: lid.176.ftz has 50,000 rows
of 16 numbers, 3.2 MB.
"""

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from cleaners.assets.fasttext_file import check_whole

END = b"</s>"  # the word that ends each line (dictionary.cc: EOS)
_HIERARCHICAL_SOFTMAX = 1  # args.h: loss_name::hs
_CENTROIDS = 256  # productquantizer.h: ksub_
_FREE_COUNT = 10**15  # loss.cc: of a node of the tree that has no children yet


@dataclass(frozen=True)
class FastTextArrays:
    """A classifier of words and their n-grams. V words, B buckets of n-grams, R rows, L labels, D numbers a row."""

    words: list[bytes]
    labels: list[str]  # with fastText's prefix
    label_counts: np.ndarray  # int64[L], in descending order: texts that it has learned from
    min_chars: int  # of an n-gram
    max_chars: int
    num_buckets: int
    kept_buckets: np.ndarray | None  # int32[R - V, 2]: bucket and row after the words; None where all buckets are kept
    rows_RD: np.ndarray  # float32: of words, then of n-grams
    outputs_LD: np.ndarray  # float32: of the inner nodes of the labels' tree, of which there are L - 1

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The arrays of the model at `path`.

        None where labels are not in a tree, words come in n-grams, or the end of a line is no word.

        UserError for a file that is not a whole model of a classifier.
        """
        check_whole(path)
        with path.open("rb") as file:
            cursor = _Cursor(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        cursor.take("ii")
        _, _, _, _, _, word_ngrams, loss, _, num_buckets, min_chars, max_chars, _, _ = cursor.take("12id")
        if word_ngrams != 1 or loss != _HIERARCHICAL_SOFTMAX:
            return None
        num_entries, num_words, _, _, num_kept = cursor.take("iiiqq")
        entries, counts = [], []
        for _ in range(num_entries):
            entries.append(cursor.string())
            counts.append(cursor.take("qb")[0])
        if END not in entries[:num_words]:
            return None
        kept = cursor.array("<i4", 2 * max(0, num_kept)).reshape(-1, 2)
        (is_compressed,) = cursor.take("?")
        rows_RD = cursor.compressed() if is_compressed else cursor.dense()
        (has_compressed_outputs,) = cursor.take("?")
        outputs_LD = cursor.compressed() if is_compressed and has_compressed_outputs else cursor.dense()
        return cls(
            words=entries[:num_words],
            labels=[entry.decode() for entry in entries[num_words:]],
            label_counts=np.array(counts[num_words:], np.int64),
            min_chars=min_chars,
            max_chars=max_chars,
            num_buckets=num_buckets,
            kept_buckets=kept if num_kept >= 0 else None,
            rows_RD=rows_RD,
            outputs_LD=outputs_LD,
        )

    def tree(self) -> tuple[np.ndarray, np.ndarray]:
        """int32[2 L - 1] of left and right children: leaves are the labels, then come inner nodes, the root last.

        It is Huffman's tree of the labels' counts (loss.cc, HierarchicalSoftmaxLoss::buildTree). A leaf has -1.
        """
        num_labels = len(self.labels)
        counts = [*self.label_counts.tolist(), *[_FREE_COUNT] * (num_labels - 1)]
        left, right = np.full((2, 2 * num_labels - 1), -1, np.int32)
        leaf, inner = num_labels - 1, num_labels
        for node in range(num_labels, 2 * num_labels - 1):
            children = []
            for _ in range(2):
                if leaf >= 0 and counts[leaf] < counts[inner]:
                    children.append(leaf)
                    leaf -= 1
                else:
                    children.append(inner)
                    inner += 1
            left[node], right[node] = children
            counts[node] = sum(counts[child] for child in children)
        return left, right


class _Cursor:
    """A position in a file that is known to be whole."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._offset = data, 0

    def take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + layout, self._data, self._offset)
        self._offset += struct.calcsize("<" + layout)
        return values

    def string(self) -> bytes:
        start, self._offset = self._offset, self._data.find(b"\0", self._offset) + 1
        return self._data[start : self._offset - 1]

    def array(self, dtype: str, count: int) -> np.ndarray:
        found = np.frombuffer(self._data, dtype, count, self._offset)
        self._offset += found.nbytes
        return found

    def dense(self) -> np.ndarray:
        rows, columns = self.take("qq")
        return self.array("<f4", rows * columns).reshape(rows, columns)

    def compressed(self) -> np.ndarray:
        """What a product quantizer gives back (quantmatrix.cc); it may keep the norms of rows apart."""
        has_norms, num_rows, columns, num_codes = self.take("?qqi")
        codes = self.array("u1", num_codes).reshape(num_rows, -1)
        matrix = self._quantized(codes, columns)
        return matrix * self._quantized(self.array("u1", num_rows).reshape(-1, 1), 1) if has_norms else matrix

    def _quantized(self, codes: np.ndarray, columns: int) -> np.ndarray:
        """float32[rows, columns]: each part of a row is one of its part's 256 centroids."""
        _, num_parts, width, last_width = self.take("4i")
        centroids = self.array("<f4", _CENTROIDS * columns)
        matrix = np.empty((len(codes), columns), np.float32)
        for part in range(num_parts):
            first, own = part * width, last_width if part == num_parts - 1 else width
            of_part = centroids[_CENTROIDS * first :][: _CENTROIDS * own].reshape(_CENTROIDS, own)
            matrix[:, first : first + own] = of_part[codes[:, part]]
        return matrix
