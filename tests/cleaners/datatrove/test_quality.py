from datatrove_texts import batch, texts
from hypothesis import given
from word_oracle import split

from cleaners.datatrove.quality import quality
from cleaners.datatrove.text import PUNCTUATION, TERMINAL_PUNCTUATION
from shards.words import words_of

STOP_WORDS = ("the", "be", "to", "世", "and")
SYMBOLS = {*PUNCTUATION, *TERMINAL_PUNCTUATION} | {
    chr(c) for a, b in ((0, 9), (11, 32), (127, 160)) for c in range(a, b)
}


def quality_oracle(text: str, words: list[str]) -> dict[str, float]:
    spoken = [word for word in words if not SYMBOLS.issuperset(word)]
    lines = text.splitlines()
    return {
        "word_count": len(spoken),
        "mean_word_length": _ratio(sum(map(len, spoken)), len(spoken)),
        "hash_ratio": _ratio(text.count("#"), len(words)),
        "ellipsis_ratio": _ratio(text.count("...") + text.count("…"), len(words)),
        "bullet_line_fraction": _ratio(sum(line.lstrip().startswith(("•", "-")) for line in lines), len(lines)),
        "ellipsis_line_fraction": _ratio(sum(line.rstrip().endswith(("...", "…")) for line in lines), len(lines)),
        "alpha_word_fraction": _ratio(sum(any(map(str.isalpha, word)) for word in words), len(words)),
        "stop_word_count": len({*STOP_WORDS} & {*words}),
    }


def _ratio(a: int, b: int) -> float | None:
    """None stands for 0 / 0, and for the infinite ratio of symbols to no words."""
    return a / b if b else None


@given(texts)
def test_quality_is_that_of_datatrove(text: str) -> None:
    rows = batch(text)
    measured = quality(rows, words_of(rows), STOP_WORDS)
    values = {name: column[2].item() for name, column in measured.items()}
    finite = {name: value if value - value == 0 else None for name, value in values.items()}
    assert finite == quality_oracle(text, split(text))
