import numpy as np
import pytest

from cleaners.engines.bombs import count_tags


@pytest.mark.parametrize(
    ("html", "elements", "depth"),
    [
        ("", 0, 0),
        ("<", 0, 0),
        ("no tags, 3 < 4", 0, 0),
        ("<p>a<p>b<br>c", 3, 0),
        ("<div><span>x</span></div>", 2, 2),
        ("<DIV><Span>x</sPAN></dIV>", 2, 2),
        ("</div></div><div>", 1, 1),
        ("<div/><svg/>", 2, 0),
        ("<!-- <div> --><b>x</b>", 1, 1),
        ("<!-- <div>", 0, 0),
        ("<script>if (a<b) document.write('<div>')</script><b>", 2, 1),
        ("<style>a<b</style><h1>x</h1>", 2, 1),
        ("<div", 1, 1),
    ],
)
def test_tags_are_counted(html: str, elements: int, depth: int) -> None:
    assert count_tags(np.frombuffer(html.encode(), np.uint8)) == (elements, depth)
