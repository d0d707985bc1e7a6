from datatrove_texts import batch, texts
from hypothesis import given
from hypothesis import strategies as st
from word_oracle import split

from cleaners.datatrove.fineweb import fineweb
from cleaners.datatrove.text import TERMINAL_PUNCTUATION
from shards.words import words_of


def fineweb_oracle(text: str, words: list[str], marks: str) -> dict[str, float]:
    lines = [line for line in text.split("\n") if line.strip()]
    copies = sum(len(line) for i, line in enumerate(lines) if line in lines[:i])
    return {
        "punctuated_line_fraction": sum(line.endswith(tuple(marks)) for line in lines) / max(len(lines), 1),
        "short_line_fraction": sum(len(line) <= 4 for line in lines) / max(len(lines), 1),
        "duplicate_line_char_fraction": copies / max(len(text.replace("\n", "")), 1),
        "newlines_per_word": text.count("\n") / max(len(words), 1),
    }


@given(texts, st.sampled_from([None, ".!"]))
def test_fineweb_is_that_of_datatrove(text: str, marks: str | None) -> None:
    rows = batch(text)
    measured = fineweb(rows, words_of(rows), 4, marks)
    expected = fineweb_oracle(text, split(text), marks or TERMINAL_PUNCTUATION)
    assert {name: values[2].item() for name, values in measured.items()} == expected
