import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from shards.spans import SPAN_LISTS, Spans, as_lists, compose, cut, replace

texts = st.lists(st.one_of(st.none(), st.text("ab", max_size=12)), max_size=4)


def spans_in(texts: list[str | None], data: st.DataObject) -> Spans:
    spans = []
    for row, text in enumerate(texts):
        ends = data.draw(st.lists(st.integers(0, len(text or "")), max_size=6, unique=True).map(sorted))
        spans += [(row, a, b) for a, b in zip(ends[::2], ends[1::2], strict=False)]
    return Spans(*np.array(spans, np.int64).reshape(-1, 3).T)


def cut_plainly(text: str, spans: list[int]) -> str:
    edges = [0, *spans, len(text)]
    return "".join(text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))


@given(texts, st.data())
def test_the_lists_record_what_is_cut(texts: list[str | None], data: st.DataObject) -> None:
    text = pa.array(["padding", *texts], pa.large_string()).slice(1)
    spans = spans_in(texts, data)
    lists = as_lists(spans, text)
    assert lists.type == SPAN_LISTS
    for before, after, recorded in zip(texts, cut(text, *spans).to_pylist(), lists.to_pylist(), strict=True):
        assert (before is None) == (after is None) == (recorded is None)
        assert before is None or after == cut_plainly(before, recorded)


@given(texts, st.data())
def test_composed_spans_cut_what_the_two_cut_in_turn(texts: list[str | None], data: st.DataObject) -> None:
    text = pa.array(texts, pa.large_string())
    first = spans_in(texts, data)
    between = cut(text, *first)
    second = spans_in(between.to_pylist(), data)
    both = compose(first, second)
    assert cut(text, *both).equals(cut(between, *second))
    if len(first.rows):
        touching = (both.rows[1:] == both.rows[:-1]) & (both.starts[1:] <= both.ends[:-1])
        assert not touching.any()


@given(texts, st.data())
def test_each_span_becomes_its_replacement(texts: list[str | None], data: st.DataObject) -> None:
    text = pa.array(["padding", *texts], pa.large_string()).slice(1)
    spans = spans_in(texts, data)
    new = [data.draw(st.sampled_from([b"", b"x", b"yyyy"])) for _ in spans.rows]
    expected = list(texts)
    for row, start, end, replacement in reversed(list(zip(*spans, new, strict=True))):
        old = expected[row] or ""
        expected[row] = old[:start] + replacement.decode() + old[end:]
    assert replace(text, spans, new).to_pylist() == expected


def test_without_a_span_the_text_is_not_copied() -> None:
    text = pa.array(["a", None], pa.large_string())
    none = Spans(*np.zeros((3, 0), np.int64))
    assert cut(text, *none) is text
    assert replace(text, none, []) is text
