"""Words of Chinese and Japanese: runs of ideographs cut by a real segmenter.

    words        我 | 们 | 喜 | 欢 | Numba | 编 | 译 | 器 | 。
    runs         我们喜欢 \\n 编译器            what a segmenter gets, a text at a time
    boundaries   我们|喜欢 \\n 编译器
    joined       我们 | 喜欢 | Numba | 编译器 | 。

Chinese is cut by jieba with its HMM for unknown words, Japanese by Sudachi in mode A, its shortest units. FineWeb2
(arXiv 2506.20920) used both, Sudachi through spaCy, whose default is mode A, and chose its thresholds by their words.

A text is Japanese when at least KANA_SHARE of its ideographs are kana. That threshold is far from both languages: of
the 412 Japanese sentences in lingua's test data the one with the fewest kana has .22, and its 729 Chinese ones have
none.
"""

from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec

import numpy as np

from shards.compiled import kernel
from shards.unicode import IDEOGRAPH, classes, decode
from shards.words import Words

KANA_SHARE = 0.1  # smallest share of kana among the ideographs of a Japanese text
MAX_WORD_CHARS = 32  # a longer "word" (a line of unknown kana) stays single characters
_SUDACHI_BYTES = 49_149  # Sudachi refuses a longer input


# Codes, of lid.176 and of FineWeb2, of languages whose words a segmenter cuts: Japanese, Wu, Cantonese and Chinese.
SEGMENTED = frozenset({"ja", "wuu", "yue", "zh", "jpn_Jpan", "wuu_Hani", "yue_Hani", "cmn_Hani"})


def joined(data: np.ndarray, words: Words, chosen: np.ndarray) -> Words:
    """`words` with neighbouring ideographs joined where the segmenter of their text sees no boundary between them.

    The words of rows that bool[rows] `chosen` leaves out stay as they are.
    """
    runs, offsets, ideographs, kana = _runs(data, words.rows, words.starts, words.ends, classes(), chosen)
    if not len(runs):
        return words
    begins = [np.zeros(0, np.bool_)]
    for row in np.flatnonzero(ideographs):
        text = runs[offsets[row] : offsets[row + 1]].tobytes().decode()
        begins.append(_begins(np.array(cutter(ideographs[row], kana[row])(text), np.int64), len(text)))
    return Words(*_join(data, words.rows, words.starts, words.ends, classes(), chosen, np.concatenate(begins)))


def cutter(ideographs: int, kana: int) -> Callable[[str], list[int]]:
    """The segmenter for a text with these numbers of ideographs, kana included, and of kana.

    It takes a text and returns the number of characters of each word, in order. Where Sudachi is not installed,
    Japanese stays single characters.
    """
    if kana < KANA_SHARE * ideographs:
        return _jieba()
    return _sudachi() if cuts_japanese() else lambda text: [1] * len(text)


@cache
def cuts_japanese() -> bool:
    """Whether Sudachi and its dictionary are installed."""
    return find_spec("sudachipy") is not None and find_spec("sudachidict_core") is not None


def _begins(lengths: np.ndarray, num_chars: int) -> np.ndarray:
    """bool[characters]: whether a word begins there."""
    assert lengths.sum() == num_chars, "a segmenter changed its text"
    begins = np.zeros(num_chars, np.bool_)
    starts = np.cumsum(lengths) - lengths
    begins[starts] = True
    for word in np.flatnonzero(lengths > MAX_WORD_CHARS):
        begins[starts[word] : starts[word] + lengths[word]] = True
    return begins


@cache
def _jieba() -> Callable[[str], list[int]]:
    import rjieba

    def cut(text: str) -> list[int]:
        return list(map(len, rjieba.cut(text)))

    return cut


@cache
def _sudachi() -> Callable[[str], list[int]]:
    from sudachipy import Dictionary, SplitMode

    tokenizer = Dictionary().tokenizer(mode=SplitMode.A)

    def cut(text: str) -> list[int]:
        return [token.end() - token.begin() for part in _parts(text) for token in tokenizer.tokenize(part)]

    return cut


def _parts(text: str) -> Iterator[str]:
    """`text` in pieces that Sudachi accepts, cut at line ends where there are any."""
    limit = _SUDACHI_BYTES // 4  # characters of up to 4 bytes
    while len(text) > limit:
        end = text.rfind("\n", 0, limit) + 1 or limit
        yield text[:end]
        text = text[end:]
    yield text


@kernel
def _runs(data, rows, starts, ends, classes, chosen):
    """(bytes of all runs of ideographs, each with a newline after it; by row: their offsets, ideographs, kana).

    Only the `chosen` rows are looked at.
    """
    room = np.int64(0)
    for w in range(len(starts)):
        if _is_ideograph(data, starts[w], classes):
            room += ends[w] - starts[w] + 1
    runs = np.empty(room, np.uint8)
    offsets, ideographs, kana = (
        np.zeros(len(rows), np.int64),
        np.zeros(len(rows), np.int64),
        np.zeros(len(rows), np.int64),
    )
    n = np.int64(0)
    for row in range(len(rows) - 1):
        run_end = np.int64(-1)  # of the open run; -1: there is none
        for w in range(rows[row], rows[row + 1] if chosen[row] else rows[row]):
            if not _is_ideograph(data, starts[w], classes):
                continue
            if run_end >= 0 and run_end != starts[w]:
                runs[n] = 10
                n += 1
            run_end = ends[w]
            size = run_end - starts[w]
            runs[n : n + size] = data[starts[w] : run_end]
            n += size
            ideographs[row] += 1
            kana[row] += _is_kana(decode(data, starts[w])[0])
        if run_end >= 0:
            runs[n] = 10
            n += 1
        offsets[row + 1] = n
    return runs[:n], offsets, ideographs, kana


@kernel
def _join(data, rows, starts, ends, classes, chosen, begins):
    """(rows, starts, ends) of the joined words; `begins` says for each character of all runs whether a word begins."""
    out_rows, out_starts, out_ends = np.zeros_like(rows), np.empty_like(starts), np.empty_like(ends)
    n = 0
    character = np.int64(0)  # index in `begins`
    for row in range(len(rows) - 1):
        run_end = np.int64(-1)
        for w in range(rows[row], rows[row + 1]):
            if not (chosen[row] and _is_ideograph(data, starts[w], classes)):
                out_starts[n], out_ends[n] = starts[w], ends[w]
                n += 1
                continue
            character += run_end >= 0 and run_end != starts[w]  # the newline between two runs
            if run_end == starts[w] and not begins[character]:
                out_ends[n - 1] = ends[w]
            else:
                out_starts[n], out_ends[n] = starts[w], ends[w]
                n += 1
            run_end = ends[w]
            for i in range(starts[w], ends[w]):
                character += (data[i] & 0xC0) != 0x80
        character += run_end >= 0
        out_rows[row + 1] = n
    return out_rows, out_starts[:n].copy(), out_ends[:n].copy()


@kernel(inline="always")
def _is_ideograph(data, i, classes):
    return data[i] >= 0xE2 and classes[decode(data, i)[0]] == IDEOGRAPH  # the first ideograph, U+2E80, is E2 BA 80


@kernel(inline="always")
def _is_kana(c):
    return 0x3041 <= c < 0x3100 or 0x31F0 <= c < 0x3200 or 0xFF66 <= c < 0xFF9E or 0x1B000 <= c < 0x1B170
