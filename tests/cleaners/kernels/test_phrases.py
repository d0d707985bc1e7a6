import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaners.kernels.phrases import PhraseFinder
from shards.unicode import text_buffers


@pytest.mark.parametrize("phrases", [("a",), ("ab", "abc"), ("字b", "é"), ()])
@given(text=st.lists(st.text("aAbBcCéÉ字 K", max_size=8), max_size=4))
def test_phrases_are_found_as_by_plain_python(phrases: tuple[str, ...], text: list[str]) -> None:
    data, offsets = text_buffers(pa.array(text, pa.large_string()))
    chosen = np.arange(len(text)) % 3 != 2
    groups = PhraseFinder(phrases, ("k",)).find(data, offsets[:-1], offsets[1:], chosen)
    assert groups.tolist() == [
        (any(phrase in line.lower() for phrase in phrases) + 2 * ("k" in line.lower())) * bool(is_chosen)
        for line, is_chosen in zip(text, chosen, strict=True)
    ]
