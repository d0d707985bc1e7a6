"""The lines that datatrove's `C4QualityFilter` keeps, and its counts of them.

It differs from `cleaners.c4` in four points:

* Lines are those of `str.splitlines`, and their words those of `str.split`.
* A citation is removed after white space was stripped and words were counted, so "So it is. [1]" ends in a blank and
  not in punctuation.
* A curly bracket drops the page even in a line with a policy phrase, but not in one with "javascript".
* A kept line without a sentence counts as one sentence.

It is plain Python, since a kernel would hardly be faster: most of the time is `str.splitlines`, `split` and `lower`.
"""

import re

import numpy as np
import pyarrow as pa

from cleaners.kernels.sentences import count_sentences
from shards.compiled import kernel
from shards.unicode import classes, lowercase, text_buffers

_CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")  # \d: digits of all scripts
_LOREM_IPSUM, _JAVASCRIPT = "lorem ipsum", "javascript"


def keep_sentences(
    texts: list[str | None],
    *,
    line_ends: str | None,
    min_words_per_line: int,
    max_word_chars: int,
    line_phrases: tuple[str, ...],
    remove_citations: bool,
) -> tuple[list[str | None], dict[str, np.ndarray]]:
    """(the edited texts, the metrics of `C4Config` without bad words), with the settings of that class."""
    ends = None if line_ends is None else tuple(line_ends)
    phrases = tuple(phrase for phrase in line_phrases if phrase != _JAVASCRIPT)
    suspects = (_LOREM_IPSUM, "{", *line_phrases)
    edited: list[str | None] = list(texts)
    lines, kept_lines, citations, lorem_ipsum, brackets = np.zeros((5, len(texts)), np.int64)
    kept: list[str] = []  # of all texts
    kept_rows: list[int] = []
    for row, text in enumerate(texts):
        if text is None:
            continue
        begin = len(kept)
        lowered = text.lower()
        # "java[1]script" is a suspect once its citation is removed.
        suspicious = (remove_citations and "[" in text) or any(suspect in lowered for suspect in suspects)
        for line in map(str.strip, text.splitlines()):
            words = line.split()
            lines[row] += bool(words)
            if len(line) > max_word_chars and any(len(word) > max_word_chars for word in words):
                continue
            if remove_citations and "[" in line:
                line, num_citations = _CITATION.subn("", line)
                citations[row] += num_citations
            if ends is not None and (not line.endswith(ends) or line.endswith("...")):
                continue
            if len(words) < min_words_per_line:
                continue
            if suspicious:
                low = line.lower()
                lorem_ipsum[row] += _LOREM_IPSUM in low
                if _JAVASCRIPT in line_phrases and _JAVASCRIPT in low:
                    continue
                brackets[row] += "{" in line
                if any(phrase in low for phrase in phrases):
                    continue
            kept_lines[row] += bool(words)
            kept.append(line)
        kept_rows += [row] * (len(kept) - begin)
        edited[row] = "\n".join(kept[begin:]).strip()

    sentences = line_sentences(*text_buffers(pa.array(kept, pa.large_string())), classes(), lowercase())
    return edited, {
        "lines_removed": lines - kept_lines,
        "removed_line_fraction": (lines - kept_lines) / np.maximum(lines, 1),
        "citations_removed": citations,
        "lorem_ipsum_lines": lorem_ipsum,
        "curly_bracket_lines": brackets,
        "sentence_count": np.bincount(np.array(kept_rows, np.int64), sentences, len(texts)).astype(np.int64),
    }


@kernel
def line_sentences(data, offsets, classes, lowercase):
    """int64[lines]: sentences of each line, 1 for one without any."""
    counts = np.empty(len(offsets) - 1, np.int64)
    for line in range(len(offsets) - 1):
        counts[line] = max(1, count_sentences(data, offsets[line], offsets[line + 1], classes, lowercase))
    return counts
