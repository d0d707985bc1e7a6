"""Texts that are equal but for case and white space, or byte by byte."""

from collections.abc import Callable

from dedup_cases import Fates, make_id, make_row

from dedup.exact import ExactConfig

Make, Resolve = Callable[..., list], Callable[..., Fates]


def test_equal_texts_differ_at_most_in_case_and_white_space(make_units: Make, resolve: Resolve) -> None:
    texts = ["A b\n\nc ", "a  B c", "a bc", "a b c.", "", "", " \n", None, "中 文", "中文", "中\u3000文"]
    rows = [make_row(k, text) for k, text in enumerate(texts)]
    assert resolve(ExactConfig(name="exact"), make_units(rows, 4), "folded") == {
        make_id(1): (make_id(0), 1.0),
        **{make_id(a): (make_id(b), 1.0) for a, b in [sorted((8, 10), key=make_id, reverse=True)]},
    }
    rows.append(make_row("again", "a  B c"))
    fates = resolve(ExactConfig(name="exact", normalize="none"), make_units(rows, 5, "bytes"), "bytes")
    (twin,) = {make_id(1), make_id("again")} - set(fates)
    assert set(fates.values()) == {(twin, 1.0)}


def test_equal_texts_may_differ_in_what_nobody_sees(make_units: Make, resolve: Resolve) -> None:
    texts = ["Der Café a", "De\u00adr Cafe\u0301\u200b a", "Ｄer café a\ufeff", "Der Café, a", "Der Café， a"]
    rows = [make_row(k, text) for k, text in enumerate(texts)]
    fates = resolve(ExactConfig(name="exact"), make_units(rows, 5), "folded")
    assert set(fates) | {twin for twin, _ in fates.values()} == {make_id(k) for k in range(3)}
    assert resolve(ExactConfig(name="exact", normalize="none"), make_units(rows, 5, "bytes"), "bytes") == {}
