"""Pages of frames."""

import numpy as np
import pytest

from cleaners.extraction.frames import frameless_page
from cleaners.extraction.html.tree import parse


@pytest.mark.parametrize(
    ("page", "inner"),
    [
        ("<frameset><frame src=a><noframes><p>One</noframes></frameset>", "<p>One"),
        ("<frameset><frame src=a></frameset><noframes>One</noframes><noframes>two</noframes>", "One\ntwo"),
        ("<frameset><frame src=a><noframes>It is cut he", "It is cut he"),
        ("<frameset><frame src=a></frameset>", ""),
        ("<p>One</p><noframes>two</noframes>", ""),
        ("", ""),
    ],
)
def test_frames_hide_a_page(page: str, inner: str) -> None:
    data = np.frombuffer(page.encode(), np.uint8)
    assert frameless_page(data, parse(data)).decode() == inner
