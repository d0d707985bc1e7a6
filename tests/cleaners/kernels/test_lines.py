import itertools

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from word_oracle import any_text, split

from cleaners.kernels import lines
from shards.unicode import NUMBER, PUNCTUATION, SYMBOL, classes, lowercase, text_buffers
from shards.words import words_of
from tests.cleaners.kernels.test_sentences import sentences, some_line

pieces = st.lists(st.sampled_from(["the", "The,", "#", "...", "…", "•", "世", "12", "\n", " \n", ".", "ภา", "Æ", "Ⅷ"]))
some_text = st.one_of(
    st.lists(some_line, max_size=5).map("\n".join), any_text, pieces.map(" ".join), pieces.map("".join)
)


def facts_of(line: str) -> dict[int, object]:
    """All that the table says of a line, but where it is and its hash."""
    words = split(line)
    line = line.strip()
    characters = "".join(words)
    kinds = [int(classes()[ord(c)]) for c in characters]
    return {
        lines.WORDS: len(words),
        lines.LONGEST_WORD: max(map(len, words)),
        lines.FIRST: ord(line[0]),
        lines.LAST: ord(line[-1]),
        lines.ENDS_IN_DOTS: line.endswith("..."),
        lines.SENTENCES: len(sentences(line)),
        lines.CHARS: len(line),
        lines.WORD_CHARS: len(characters),
        lines.UPPERCASE_CHARS: sum(lowercase()[ord(c)] != ord(c) for c in characters),
        lines.NUMBER_CHARS: kinds.count(NUMBER),
        lines.NUMERIC_CHARS: sum(kind in (NUMBER, PUNCTUATION, SYMBOL) for kind in kinds),
        lines.UNSPACED_CHARS: sum("\u0e00" <= c < "\u10a0" or "\u1780" <= c < "\u1800" for c in characters),
    }


@given(st.lists(st.one_of(st.none(), some_text), max_size=3))
def test_the_table_of_lines_is_that_of_plain_python(texts: list[str | None]) -> None:
    array = pa.array(["padding", *texts], pa.large_string()).slice(1)
    table = lines.lines_of(array, words_of(array))
    data, _ = text_buffers(array)
    whole = [(row, line) for row, text in enumerate(texts) for line in (text or "").split("\n") if split(line)]
    assert table.shape == (16, len(whole))
    assert table[lines.ROW].tolist() == [row for row, _ in whole]
    for k, (_, line) in enumerate(whole):
        assert data[table[lines.START, k] : table[lines.END, k]].tobytes().decode() == line.strip()
        assert {fact: table[fact, k] for fact in facts_of(line)} == facts_of(line)
    for (i, (_, a)), (j, (_, b)) in itertools.combinations(enumerate(whole), 2):
        assert (a.strip() == b.strip()) == (table[lines.HASH, i] == table[lines.HASH, j])
    copies = [
        (row, line.strip()) in [(r, other.strip()) for r, other in whole[:k]] for k, (row, line) in enumerate(whole)
    ]
    assert lines.later_copies(table).tolist() == copies


def test_the_table_of_the_same_words_is_computed_once() -> None:
    text = pa.array(["a b\nc"], pa.large_string())
    assert lines.lines_of(text, words_of(text)) is lines.lines_of(text, words_of(text))
    other = pa.array(["a b c"], pa.large_string())
    assert lines.lines_of(other, words_of(other)).shape[1] == 1


@given(
    st.lists(some_text, max_size=3), st.lists(st.sampled_from(["the", "世", ".", "...", "lineend", "é"]), max_size=3)
)
def test_ends_of_lines_are_those_of_str_endswith(texts: list[str], endings: list[str]) -> None:
    array = pa.array(texts, pa.large_string())
    is_ended = lines.ends_in(lines.lines_of(array, words_of(array)), array, tuple(endings))
    whole = [line.strip() for text in texts for line in text.split("\n") if split(line)]
    assert is_ended.tolist() == [line.endswith(tuple(endings)) for line in whole]
