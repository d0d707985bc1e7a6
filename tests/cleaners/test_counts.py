import re

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from word_oracle import any_text, split

from cleaners import counts
from shards.unicode import IDEOGRAPH, LETTER, NUMBER, PUNCTUATION, SYMBOL, classes, lowercase, text_buffers

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
    bullets = {chr(c) for c in counts.BULLETS}
    cores = [re.sub(r"^[\W_]+|[\W_]+$", "", word).lower() for word in words]
    stop_words = counts.hash_stop_words(("the", "x"))
    data, offsets = text_buffers(pa.array(["padding", text], pa.large_string()))
    found = counts.document_counts(data, offsets, classes(), lowercase(), *stop_words)[1].tolist()
    assert found == [
        len(words),
        sum(map(len, words)),
        sum(any(kind_of(c) in (LETTER, IDEOGRAPH) for c in word) for word in words),
        text.count("#"),
        text.count("...") + text.count("…"),
        len(lines),
        sum(line[0] in bullets for line in lines),
        sum(line.endswith(("...", "…")) for line in lines),
        len({"the", "x"} & set(cores)),
    ]


@given(st.lists(some_text, max_size=3))
def test_line_counts_are_those_of_plain_python(texts: list[str]) -> None:
    data, offsets = text_buffers(pa.array(["padding", *texts], pa.large_string()))
    found = counts.line_counts(data, offsets, classes(), lowercase())[1:].tolist()
    expected = []
    for row, text in enumerate(texts, start=1):
        position = int(offsets[row])
        for line in text.split("\n"):
            if split(line):
                characters = "".join(split(line))
                kinds = [kind_of(c) for c in characters]
                start = position + len(line[: len(line) - len(line.lstrip())].encode())
                expected.append(
                    [
                        row,
                        start,
                        start + len(line.strip().encode()),
                        len(split(line)),
                        len(characters),
                        sum(lowercase()[ord(c)] != ord(c) for c in characters),
                        kinds.count(NUMBER),
                        sum(kind in (NUMBER, PUNCTUATION, SYMBOL) for kind in kinds),
                        sum("\u0e00" <= c < "\u10a0" or "\u1780" <= c < "\u1800" for c in characters),
                    ]
                )
            position += len(line.encode()) + 1
    assert found == expected
