import re

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from word_oracle import any_text, split

from cleaners.kernels.word_counts import BULLETS, COUNTS, document_counts, stop_word_sets
from shards.unicode import IDEOGRAPH, LETTER, classes, lowercase, text_buffers
from shards.words import words_of

symbols = st.lists(
    st.sampled_from(["the", "The,", "x", "#", "...", "…", "•", "-", "世", "12", "\n", " \n", ".", "ภา", "Æ"])
)
some_text = st.one_of(any_text, symbols.map(" ".join), symbols.map("".join))


def kind_of(character: str) -> int:
    return int(classes()[ord(character)])


@given(some_text)
def test_document_counts_are_those_of_plain_python(text: str) -> None:
    words = split(text)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    bullets = {chr(c) for c in BULLETS}
    cores = [re.sub(r"^[\W_]+|[\W_]+$", "", word).lower() for word in words]
    stop_words = stop_word_sets([(("padding",), False), (("the", "x"), False)], np.array([0, 1]))
    array = pa.array(["padding", text], pa.large_string())
    w = words_of(array)
    data, _ = text_buffers(array)
    counts = document_counts(data, w.rows, w.starts, w.ends, classes(), lowercase(), *stop_words)[1]
    assert {name: int(counts[name]) for name in COUNTS.names} == {
        "words": len(words),
        "chars": sum(map(len, words)),
        "hashes": text.count("#"),
        "ellipses": text.count("...") + text.count("…"),
        "alpha_words": sum(any(kind_of(c) in (LETTER, IDEOGRAPH) for c in word) for word in words),
        "lines": len(lines),
        "bullet_lines": sum(line[0] in bullets for line in lines),
        "ellipsis_lines": sum(line.endswith(("...", "…")) for line in lines),
        "stop_words": len({"the", "x"} & set(cores)),
    }
