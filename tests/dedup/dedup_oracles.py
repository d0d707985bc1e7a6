"""Plain Python beside the kernels: words, hashes, shingles and n-grams, and an index's signatures in datasketch."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasketch import MinHash
from hypothesis import strategies as st

from dedup.files.documents import format_ids, load_npy, npy_path
from dedup.index import earlier_files, read_parts
from dedup.lsh.signatures import permutations
from dedup.lsh.signing import SIGNED
from dedup.normal_form import normal_form
from dedup.word_hashes import ALONE, BASE, MIX, START, STEP
from shards.unicode import IDEOGRAPH, LETTER, MARK, NUMBER, classes, lowercase
from shards.words import words_of

M64 = (1 << 64) - 1

SPACED_WORDS = st.sampled_from(["a", "b", "c", "the", "Über", "中", "文", "мир", "e\u0301", "🌾", ",", "x" * 40])
SPACED_TEXTS = st.lists(
    st.lists(st.tuples(SPACED_WORDS, st.sampled_from([" ", "  ", "\n", "\u3000"])), max_size=40), max_size=8
).map(lambda documents: ["".join(word + space for word, space in document) for document in documents])


def plain_word_spans(text: str, *, segmented: bool = False) -> list[tuple[str, int, int]]:
    """(lower-case word, start, end in bytes) of the words of `dedup.word_hashes`, one character after the other."""
    offsets = np.cumsum([0, *(len(c.encode()) for c in text)]).tolist()
    begins = set(words_of(pa.array([text], pa.large_string()), segmented=True).starts.tolist()) if segmented else None
    words: list[tuple[str, int, int]] = []
    before = 0
    for k, c in enumerate(text):
        kind = classes()[ord(c)]
        if kind == IDEOGRAPH:
            joins = before == IDEOGRAPH and begins is not None and offsets[k] not in begins
        else:
            joins = before in (LETTER, MARK, NUMBER)
            c = chr(lowercase()[ord(c)])
        if kind in (LETTER, MARK, NUMBER, IDEOGRAPH):
            word, start = (words[-1][0] + c, words[-1][1]) if joins else (c, offsets[k])
            words[len(words) - joins :] = [(word, start, offsets[k + 1])]
        before = kind
    return words


def plain_words(text: str, *, segmented: bool = False) -> list[str]:
    return [word for word, _, _ in plain_word_spans(normal_form(text), segmented=segmented)]


def plain_word_hash(word: str) -> int:
    value = int(START)
    for c in word:
        alone = int(ALONE) if classes()[ord(c)] == IDEOGRAPH else 0
        value = (value ^ (ord(c) | alone)) * int(STEP) & M64
    return value


def plain_ngram_hash(words: list[int]) -> int:
    value = 0
    for word in words:
        value = (value * int(BASE) + word) & M64
    for _ in range(2):
        value = (value ^ value >> 32) * int(MIX) & M64
    return value ^ value >> 32


def plain_ngrams(text: str, n: int) -> set[tuple[str, ...]]:
    words = plain_words(text)
    width = min(n, len(words))
    return {tuple(words[k : k + width]) for k in range(len(words) - width + 1)} if words else set()


def rows_of(values: np.ndarray, starts: np.ndarray) -> list[list[int]]:
    return [values[a:b].tolist() for a, b in pairwise(starts)]


def spaced_words(text: str) -> list[tuple[int, int]]:
    """[start, end) in bytes of each word of `shards.words`: between white space, an ideograph with its marks alone."""
    table = classes()
    ideographs = "".join(f"{re.escape(c)}" for c in sorted(set(text)) if table[ord(c)] == IDEOGRAPH)
    marks = "".join(f"{re.escape(c)}" for c in sorted(set(text)) if table[ord(c)] == MARK)
    run = rf"[^\s{ideographs}]+"
    single = (rf"[{ideographs}]" + (rf"[{marks}]*" if marks else "")) if ideographs else r"(?!)"
    spans = [match.span() for match in re.finditer(rf"{single}|{run}", text)]
    return [(len(text[:a].encode()), len(text[:b].encode())) for a, b in spans]


def minhashes(folder: Path) -> Iterator[tuple[str, MinHash]]:
    """(id, datasketch.MinHash) of every document of an index whose stage `minhash` has verify = "signature".

    datasketch mixes a hash h by MurmurHash3's fmix32 and then takes the least of a·fmix32(h) + b (scheme "affine32");
    ours is the least of a·x + b. With our permutations, and h the value of which fmix32 is x, both are the same
    signature, also of the shingles that `update` adds.
    """
    settings = next(iter(read_parts(folder).values())).settings["minhash"]
    num_hashes = settings["bands"] * settings["rows"]
    for stem in earlier_files(folder, "minhash", settings).stems:
        documents, sets = load_npy(npy_path(stem, "documents"), SIGNED), load_npy(npy_path(stem, "sets"))
        for id_, start in zip(format_ids(documents["id"]).to_pylist(), documents["set_start"].tolist(), strict=True):
            yield (
                id_,
                MinHash(
                    num_perm=num_hashes,
                    seed=settings["seed"],
                    hashfunc=_unmixed,
                    hashvalues=sets[start : start + num_hashes],
                    permutations=permutations(num_hashes, settings["seed"]),
                    scheme="affine32",
                ),
            )


_UNMIX_1, _UNMIX_2 = pow(0x85EBCA6B, -1, 1 << 32), pow(0xC2B2AE35, -1, 1 << 32)


def _unmixed(x: int) -> int:
    """The u32 of which MurmurHash3's fmix32 is `x`."""
    x ^= x >> 16
    x = x * _UNMIX_2 & 0xFFFFFFFF
    x ^= x >> 13 ^ x >> 26
    x = x * _UNMIX_1 & 0xFFFFFFFF
    return x ^ x >> 16
