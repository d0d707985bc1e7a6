"""Texts for the oracles of `cleaners.datatrove`, which are datatrove's filters in plain Python.

`tests/conformance` runs datatrove's own code.
"""

import pyarrow as pa
from hypothesis import strategies as st
from word_oracle import any_text

# Few words and every kind of line break, so that everything repeats and everything that is counted occurs.
tokens = st.sampled_from(
    [
        *"a b ab c cc the The be 世 界 é # … ... .. . • - -x x. x... 。 ! \x00 \u212aelvin".split(" "),
        *("\n", "\n\n", "\n\n\n", "\r\n", "\r", "\u2028", "\x1c", "\x85", " ", "\t", "\u3000", "long" * 8),
        *("[1]", "[edit]", "[٣]", "lorem ipsum", "java[1]script", "JavaScript", "{", "use cookies", "is a line."),
    ]
)
texts = st.one_of(st.lists(tokens, max_size=60).map(" ".join), st.lists(tokens, max_size=60).map("".join), any_text)


def batch(text: str) -> pa.Array:
    """The text in row 2, with neighbours, so that its offsets and words do not begin at 0."""
    return pa.array(["x x x", None, text, "x x x"], pa.large_string())
