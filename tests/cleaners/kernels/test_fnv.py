import numpy as np
import pytest

from cleaners.kernels.fnv import fnv_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [(b"", 0xCBF29CE484222325), (b"a", 0xAF63DC4C8601EC8C), (b"foobar", 0x85944171F73967E8)],
)
def test_hashes_are_those_of_the_published_test_vectors(text: bytes, expected: int) -> None:
    data = np.frombuffer(b"x" + text + b"x", np.uint8)
    assert fnv_of(data, 1, 1 + len(text)) == expected
