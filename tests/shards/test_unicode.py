"""Characters as kernels see them, against Python's."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shards.unicode import decode


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=20))
def test_code_points_are_those_of_pythons_decoder(text: str) -> None:
    utf8 = np.frombuffer(text.encode(), np.uint8)
    decoded, i = [], 0
    while i < len(utf8):
        c, i = decode(utf8, i)
        decoded.append(chr(c))
    assert "".join(decoded) == text
