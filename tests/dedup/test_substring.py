"""A cut passage occurs elsewhere, and with keep = "first" every passage is kept once."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dedup_cases import Fates, InProcess, Row, make_id, make_row, read_fates
from dedup_oracles import SPACED_TEXTS, SPACED_WORDS, spaced_words
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dedup.substring import SubstringConfig
from shards.exchange import Block, columns_path, spans_path
from shards.sink import open_arrow
from shards.unicode import IDEOGRAPH, classes

Make = Callable[..., list[Block]]
Words = list[bytes]
DENSE_TEXTS = st.lists(st.lists(SPACED_WORDS, max_size=40).map("".join), max_size=6)  # without spaces


def words(text: str) -> Words:
    return [text.encode()[a:b] for a, b in spaced_words(text)]


def run(
    config: SubstringConfig, units: Sequence[Block], folder: Path
) -> tuple[dict[str, str], Fates, list[dict[str, Any]]]:
    """(text of each row that is left, fates of the others, all spans with the id of their row)."""
    config.resolve(units, folder, InProcess())
    texts, spans = {}, []
    for unit in units:
        path = folder / f"{unit.key}.arrow"
        for _, batch in replace(unit, verdicts=(path,)).batches(["id", "text"]):
            batch.validate(full=True)
            texts |= dict(zip(batch["id"].to_pylist(), batch["text"].to_pylist(), strict=True))
        if spans_path(path).exists():
            ids = open_arrow(unit.texts[0], ["id"]).read_all()["id"].to_pylist()
            spans += [row | {"id": ids[row["row"]]} for row in open_arrow(spans_path(path)).read_all().to_pylist()]
    return texts, read_fates(units, folder), spans


def windows_of(rows: Sequence[Row], length: int) -> dict[tuple[bytes, ...], list[tuple[str, int]]]:
    """Each window and the (id, number of its first word) where it stands, in the order of ids."""
    places: dict[tuple[bytes, ...], list[tuple[str, int]]] = {}
    for row in sorted(rows, key=lambda row: row["id"]):
        found = words(row["text"])
        for k in range(len(found) - length + 1):
            places.setdefault(tuple(found[k : k + length]), []).append((row["id"], k))
    return places


def expected(rows: Sequence[Row], length: int, keep: str) -> dict[str, Words]:
    """The words that are left of each row, by brute force over all windows."""
    goes = {row["id"]: np.zeros(len(words(row["text"])), np.bool_) for row in rows}
    repeated = [places for places in windows_of(rows, length).values() if len(places) > 1]
    for places in repeated:
        for id, k in places:
            goes[id][k : k + length] = True
    if keep == "first":
        later = {id: np.zeros_like(mask) for id, mask in goes.items()}
        for places in repeated:
            for id, k in places[1:]:
                later[id][k : k + length] = True
        for (id, k), *_ in repeated:
            later[id][k : k + length] = False
        goes = later
    left = {}
    for row in rows:
        spans, mask, text = spaced_words(row["text"]), goes[row["id"]], row["text"].encode()
        for k in range(1, len(spans) - 1):  # what alone parts two words that stay
            begin = k
            while begin and mask[begin - 1]:
                begin -= 1
            touches = begin and spans[begin - 1][1] == spans[begin][0] and spans[k][1] == spans[k + 1][0]
            if mask[k] and not mask[k + 1] and touches:
                around = (text[slice(*spans[i])].decode()[0] for i in (begin - 1, k + 1))
                mask[k] = any(classes()[ord(c)] == IDEOGRAPH for c in around)
        left[row["id"]] = [text[a:b] for (a, b), gone in zip(spans, mask, strict=True) if not gone]
    return left


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(
    SPACED_TEXTS | st.lists(st.lists(SPACED_WORDS, max_size=40).map("".join), max_size=6), st.integers(2, 5), st.data()
)
def test_what_is_left_is_what_plain_python_leaves(
    make_units: Make, tmp_path_factory: pytest.TempPathFactory, texts: list[str], length: int, data: st.DataObject
) -> None:
    rows, keep = [make_row(k, text) for k, text in enumerate(texts)], data.draw(st.sampled_from(["first", "none"]))
    folder = tmp_path_factory.mktemp("substring")
    config = SubstringConfig(name="s", length=length, keep=keep, min_chars=1)
    left, fates, spans = run(config, make_units(rows, data.draw(st.integers(1, 4)), folder.name), folder)
    wanted = expected(rows, length, keep)
    assert {id: words(text) for id, text in left.items()} == {id: w for id, w in wanted.items() if id not in fates}
    assert all(not wanted[id] for id in fates)
    texts_of = {row["id"]: row["text"].encode() for row in rows}
    for span in spans:
        removed = texts_of[span["id"]][span["start"] : span["end"]]
        assert len(removed.decode()) == span["chars"] > 0
        assert texts_of[span["twin"]][span["twin_start"] :].decode()
    assert sum(s["chars"] for s in spans) == sum(len(r["text"]) - len(left[r["id"]]) for r in rows if r["id"] in left)
    if keep == "first":
        still = windows_of([make_row(0, text) | {"id": id} for id, text in left.items()], length)
        assert {window for window, places in windows_of(rows, length).items() if len(places) > 1} <= still.keys()


def document(rng: random.Random, count: int = 100) -> str:
    return " ".join(f"w{rng.randrange(1_000_000)}" for _ in range(count))


def in_id_order(count: int) -> list[int]:
    return sorted(range(count), key=make_id)


def test_a_passage_is_kept_in_the_first_document_by_id(make_units: Make, tmp_path: Path) -> None:
    rng = random.Random(1)
    passage, own = document(rng, 60), [document(rng) for _ in range(4)]
    order = in_id_order(4)
    rows = [make_row(k, f"{own[k]}\n\n{passage}\n\n{own[k][::-1]}") for k in order[::-1]]
    left, fates, spans = run(SubstringConfig(name="s"), make_units(rows, 2), tmp_path / "out")
    assert not fates
    first = make_id(order[0])
    assert left == {make_id(k): f"{own[k]}\n\n{passage if k == order[0] else ''}\n\n{own[k][::-1]}" for k in order} | {
        make_id(k): f"{own[k]}\n\n{own[k][::-1]}" for k in order[1:]
    }
    start = len(own[order[0]]) + 2
    assert {(s["twin"], s["twin_start"]) for s in spans} == {(first, start)}
    assert {s["chars"] for s in spans} == {len(passage) + 2}


def test_with_keep_none_every_copy_is_cut_even_within_one_document(make_units: Make, tmp_path: Path) -> None:
    rng = random.Random(2)
    passage, a, b, c = document(rng, 50), *(document(rng, 30) for _ in range(3))
    units = make_units([make_row(1, f"{a} {passage} {b} {passage} {c}")])
    assert run(SubstringConfig(name="s", keep="none"), units, tmp_path / "none")[0] == {make_id(1): f"{a} {b} {c}"}
    assert run(SubstringConfig(name="s"), units, tmp_path / "first")[0] == {make_id(1): f"{a} {passage} {b} {c}"}
    assert run(SubstringConfig(name="s", length=51), units, tmp_path / "longer")[2] == []


def test_chinese_is_cut_by_characters_and_keeps_its_neighbours(make_units: Make, tmp_path: Path) -> None:
    rng = random.Random(3)
    passage, *own = ("".join(chr(rng.randrange(0x4E00, 0x9FA5)) for _ in range(60)) for _ in range(3))
    rows = [make_row(k, f"{own[n]}{passage}。") for n, k in enumerate(in_id_order(2))]
    left, _, _ = run(SubstringConfig(name="s"), make_units(rows), tmp_path / "out")
    assert list(left.values()) == [f"{own[0]}{passage}。", own[1]]


@pytest.mark.parametrize(("chars_left", "kept"), [(19, False), (20, True)])
def test_a_document_with_little_left_is_removed(make_units: Make, tmp_path: Path, chars_left: int, kept: bool) -> None:
    passage, rest = document(random.Random(4), 50), "y" * chars_left
    first, second = in_id_order(2)
    units = make_units([make_row(first, passage), make_row(second, f"{rest}\n{passage}")])
    left, fates, spans = run(SubstringConfig(name="s"), units, tmp_path / "out")
    assert (make_id(second) in left, len(spans)) == (kept, int(kept))
    if not kept:
        assert fates == {make_id(second): (make_id(first), (1 + len(passage)) / (1 + len(passage) + chars_left))}


def test_drop_any_and_drop_partial_remove_whole_documents(make_units: Make, tmp_path: Path) -> None:
    rng = random.Random(5)
    passage = document(rng, 50)
    first, *others = in_id_order(3)
    rows = [make_row(k, f"{passage} {document(rng, n)}") for k, n in zip((first, *others), (9, 180, 220), strict=True)]
    for action, gone in (("drop_any", others), ("drop_partial", others[:1])):
        config = SubstringConfig(name="s", action=action)
        left, fates, spans = run(config, make_units(rows), tmp_path / action)
        assert fates.keys() == {make_id(k) for k in gone}
        assert left == {row["id"]: row["text"] for row in rows if row["id"] not in fates}
        assert not spans


def masked_of(units: Sequence[Block], folder: Path) -> dict[str, dict[str, Any]]:
    """What the stage that wrote `folder` adds to each row it names, by id."""
    found = {}
    for unit in units:
        if (path := columns_path(folder / f"{unit.key}.arrow")).exists():
            ids = open_arrow(unit.texts[0], ["id"]).read_all()["id"].to_pylist()
            found |= {ids[row["row"]]: row for row in open_arrow(path).read_all().to_pylist()}
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(SPACED_TEXTS, st.integers(2, 5), st.data())
def test_mask_marks_the_bytes_that_cut_would_remove_and_leaves_the_text(
    make_units: Make, tmp_path_factory: pytest.TempPathFactory, texts: list[str], length: int, data: st.DataObject
) -> None:
    rows, keep = [make_row(k, text) for k, text in enumerate(texts)], data.draw(st.sampled_from(["first", "none"]))
    folder = tmp_path_factory.mktemp("substring")
    units = make_units(rows, data.draw(st.integers(1, 4)), folder.name)
    _, fates, cut = run(SubstringConfig(name="s", length=length, keep=keep, min_chars=1), units, folder / "cut")
    left, none, spans = run(SubstringConfig(name="m", length=length, keep=keep, action="mask"), units, folder / "mask")
    assert (left, none, spans) == ({row["id"]: row["text"] for row in rows}, {}, [])
    masked = masked_of(units, folder / "mask")
    assert fates.keys() | {span["id"] for span in cut} == masked.keys()
    for id, row in masked.items():
        bytes_of = {k for a, b in zip(row["masked"][::2], row["masked"][1::2], strict=True) for k in range(a, b)}
        text = next(other["text"] for other in rows if other["id"] == id).encode()
        assert sum((text[k] & 0xC0) != 0x80 for k in bytes_of) == row["m.masked_chars"]
        if id not in fates:
            mine = [span for span in cut if span["id"] == id]
            assert bytes_of == {k for span in mine for k in range(span["start"], span["end"])}
            assert row["m.masked_spans"] == len(mine)


def test_a_second_mask_is_united_with_the_first(make_units: Make, tmp_path: Path) -> None:
    """The longer windows mask less: what the first stage masked beside them stays masked."""
    rng = random.Random(8)
    long, short, *own = document(rng, 60), document(rng, 20), document(rng, 9), document(rng, 9)
    units = make_units([make_row(k, f"{short} {own[k]} {long}") for k in range(2)], 1)
    one = SubstringConfig(name="one", length=20, keep="none", action="mask")
    one.resolve(units, tmp_path / "one", InProcess())
    paths = [(tmp_path / "one" / f"{unit.key}.arrow",) for unit in units]
    after = [replace(u, verdicts=p, added=tuple(one.columns())) for u, p in zip(units, paths, strict=True)]
    two = SubstringConfig(name="two", length=50, keep="none", action="mask")
    two.resolve(after, tmp_path / "two", InProcess())
    first, second = masked_of(units, tmp_path / "one"), masked_of(units, tmp_path / "two")
    assert [row["one.masked_spans"] for row in first.values()] == [2, 2]
    assert [row["two.masked_spans"] for row in second.values()] == [1, 1]
    assert {id: row["masked"] for id, row in first.items()} == {id: row["masked"] for id, row in second.items()}


@pytest.mark.parametrize(
    "texts", [[], [""], [None, None], ["🌾🌾 🌾"] * 3, ["word"] * 3, [" \n"] * 9, ["a\0b " * 49] * 2]
)
def test_shorter_passages_are_not_changed(make_units: Make, tmp_path: Path, texts: list[str | None]) -> None:
    rows = [make_row(k, text) for k, text in enumerate(texts)]
    left, fates, spans = run(SubstringConfig(name="s"), make_units(rows, 2), tmp_path / "out")
    assert (left, fates, spans) == ({row["id"]: row["text"] for row in rows}, {}, [])


def test_many_equal_documents_leave_one_and_a_long_repetition_leaves_one_period(
    make_units: Make, tmp_path: Path
) -> None:
    text = document(random.Random(6), 60)
    rows = [make_row(k, text) for k in range(3_000)] + [make_row("long", "ab " * 200_000), make_row("no text", None)]
    left, fates, _ = run(SubstringConfig(name="s"), make_units(rows, 700), tmp_path / "out")
    first = min(make_id(k) for k in range(3_000))
    assert left == {first: text, make_id("long"): "ab " * 49 + "ab", make_id("no text"): None}
    assert set(fates.values()) == {(first, 1.0)}


def test_a_later_stage_reads_what_an_earlier_one_left(make_units: Make, tmp_path: Path) -> None:
    rng = random.Random(7)
    passage, own = document(rng, 60), [document(rng) for _ in range(3)]
    units = make_units([make_row(k, f"{own[k]} {passage}") for k in range(3)], 2)
    run(SubstringConfig(name="s"), units, tmp_path / "one")
    after = [replace(unit, verdicts=(tmp_path / "one" / f"{unit.key}.arrow",)) for unit in units]
    config = SubstringConfig(name="again")
    config.resolve(after, tmp_path / "two", InProcess())
    assert not [*(tmp_path / "two").glob("*.arrow")]


@pytest.mark.parametrize("values", [{"length": 1}, {"action": "hide"}, {"keep": "longest"}, {"min_chars": 0}])
def test_settings_that_cannot_work_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SubstringConfig(name="s", **values)
