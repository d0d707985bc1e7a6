import itertools

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from test_sentences import sentences, some_line
from word_oracle import split

from cleaners import lines
from shards.unicode import classes, lowercase, text_buffers

some_text = st.lists(some_line, max_size=5).map("\n".join)


def shapes_of(texts: list[str]) -> list[list[int]]:
    data, offsets = text_buffers(pa.array(["padding", *texts], pa.large_string()))
    shapes = lines.line_shapes(data, offsets, classes(), lowercase())
    assert lines.later_copies(shapes).tolist() == [
        any(earlier[0] == line[0] and earlier[10] == line[10] for earlier in shapes[:k])
        for k, line in enumerate(shapes)
    ]
    return shapes[1:].tolist()


@given(st.lists(some_text, max_size=3))
def test_line_shapes_are_those_of_plain_python(texts: list[str]) -> None:
    expected = []
    position = len("padding")
    kept = []
    for row, text in enumerate(texts, start=1):
        for line in text.split("\n"):
            if words := split(line):
                start = position + len(line[: len(line) - len(line.lstrip())].encode())
                whole = line.strip()
                kept.append((row, whole))
                longest = max(map(len, words))
                dots = whole.endswith("...")
                ends = (start, start + len(whole.encode()))
                counts = (len(whole), len(words), longest, ord(whole[0]), ord(whole[-1]), dots, len(sentences(whole)))
                expected.append([row, *ends, *counts])
            position += len(line.encode()) + 1
        position -= 1
    found = shapes_of(texts)
    assert [shape[:-1] for shape in found] == expected
    for (a, a_shape), (b, b_shape) in itertools.combinations(zip(kept, found, strict=True), 2):
        assert (a[1] == b[1]) == (a_shape[-1] == b_shape[-1])
