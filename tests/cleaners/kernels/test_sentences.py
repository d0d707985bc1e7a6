import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from word_oracle import any_text

from cleaners.kernels.sentences import SENTENCE_ENDS, count_sentences
from shards.unicode import IDEOGRAPH, LETTER, MARK, NUMBER, classes, lowercase

WIDE = re.escape("".join(c for c in SENTENCE_ENDS if not c.isascii()))
CLOSERS = re.escape("\"')]}’”»」』）】》〉")

pieces = st.sampled_from(
    ["He", "came", "J", "3.14", ".", "!", "?", "…", " ", ' "', '."', ".)", "。", "」", "他", "я", "।"]
)
some_line = st.one_of(any_text, st.lists(pieces, max_size=20).map("".join)).map(lambda text: text.replace("\n", " "))


def counted(line: str) -> int:
    data = np.frombuffer(line.encode(), np.uint8)
    data.flags.writeable = False
    return int(count_sentences(data, np.int64(0), np.int64(len(data)), classes(), lowercase()))


def is_any(character: str, *kinds: int) -> bool:
    return int(classes()[ord(character)]) in kinds


def sentences(line: str) -> list[str]:
    """By cutting the line where a regular expression says that it may be cut."""
    cuts = [m.end() for m in re.finditer(rf"[{WIDE}]", line)]
    for m in re.finditer(rf"[.!?…](?=[{CLOSERS}]*\s+(\S))", line):
        before = f"  {line[: m.start()]}"
        initial = m[0] == "." and lowercase()[ord(before[-1])] != ord(before[-1])
        initial = initial and not is_any(before[-2], LETTER, NUMBER, MARK, IDEOGRAPH)
        c = m[1]
        cased = c < "\u0590" or "\u1e00" <= c < "\u2000"
        if not initial and not (is_any(c, LETTER) and cased and lowercase()[ord(c)] == ord(c)):
            cuts.append(m.end())
    parts = [line[a:b] for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), len(line)], strict=True)]
    return [part for part in parts if any(is_any(c, LETTER, NUMBER, IDEOGRAPH) for c in part)]


@given(some_line)
def test_sentences_are_those_of_plain_python(line: str) -> None:
    assert counted(line) == len(sentences(line))


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("", 0),
        ("...", 0),
        ("no end", 1),
        ("It rains. It pours!", 2),
        ('"Who is there?" Nobody said a word. "Well," he said.', 3),
        ("It cost 3.50 e.g. in 1990.", 1),
        ("J. S. Bach wrote it.", 1),
        ("Wait ... for it.", 1),
        ("今天下雨。明天呢？“不知道！”", 3),
        ("Он пришёл. Она ушла… И всё.", 3),
        ("он сказал т. е. подумал", 1),
    ],
)
def test_number_of_sentences(line: str, number: int) -> None:
    assert counted(line) == number
