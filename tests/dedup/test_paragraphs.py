"""A line or paragraph that is cut occurs elsewhere, and the rest is separated as before."""

import gzip
import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from dedup_cases import Fates, InProcess, Row, make_id, make_row, read_fates
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dedup.normal_form import normal_form
from dedup.paragraphs import Paragraphs, ParagraphsConfig, characters
from dedup.repeats.engine import HashSet
from shards.exchange import Block, columns_path, spans_path
from shards.sink import open_arrow

Make = Callable[..., list[Block]]
Left = tuple[dict[str, str | None], Fates, list[dict[str, Any]]]

LINES = st.sampled_from(
    [
        *"aAbé🌾…\0\r ",
        "",
        " a\r",
        "a.",
        "b，1",
        "B7",
        "é",
        "e\u0301",
        "ΟΔΟΣ",
        "οδος",
        "中文",
        "中文。",
        "\u200b",
        "\u200b a\u00ad",
        "Ａ",
    ],
)
TEXTS = st.lists(st.lists(LINES, max_size=8).map("\n".join), max_size=6)
SETTINGS = st.builds(
    ParagraphsConfig,
    name=st.just("p"),
    split=st.sampled_from(["line", "paragraph"]),
    normalize=st.sampled_from(["ccnet", "c4", "none"]),
    keep=st.sampled_from(["first", "none"]),
    min_piece_chars=st.integers(1, 3),
)
CCNET_MARKS = "，。、„”“«»」「《》´∶：？！（）；–—．～’…━〈〉【】％►"


class Piece(NamedTuple):
    start: int  # in characters of the text
    end: int
    normal: str


def normal(text: str, normalize: str) -> str:
    """The piece as it is compared."""
    return text if normalize == "none" else normal_in_sources(normal_form(text), normalize)


def normal_in_sources(text: str, normalize: str) -> str:
    """The normalised piece; `ccnet` is `normalize_for_dedup` of CCNet's code."""
    if normalize == "none":
        return text
    text = text.strip().lower().replace("ς", "σ")
    if normalize == "ccnet":
        text = re.sub(rf"[{CCNET_MARKS}\x00-\x1f\x7f-\x9f]", "", re.sub(r"\d", "0", text))
    return text


def pieces_of(text: str, config: ParagraphsConfig) -> list[Piece]:
    spans, at, open_ = [], 0, False
    for line in text.split("\n"):
        end = at + len(line.removesuffix("\r"))
        if line.strip() and open_ and config.split == "paragraph":
            spans[-1] = (spans[-1][0], end)
        elif line.strip():
            spans.append((at, end))
        open_, at = bool(line.strip()), at + len(line) + 1
    return [Piece(a, b, normal(text[a:b], config.normalize)) for a, b in spans]


def expected(texts: dict[str, str], config: ParagraphsConfig) -> dict[str, str]:
    """The rest of each text, by a dictionary of all pieces; documents in the order of ids."""
    places, goes = defaultdict(list), defaultdict(set)
    pieces = {id: pieces_of(text, config) for id, text in sorted(texts.items())}
    for id, found in pieces.items():
        for piece in found:
            if len(piece.normal) >= config.min_piece_chars:
                places[piece.normal].append((id, piece.start))
    for same in places.values():
        for id, start in same[config.keep == "first" :] if len(same) > 1 else ():
            goes[id].add(start)
    return {id: without(text, pieces[id], goes[id]) for id, text in texts.items()}


def without(text: str, pieces: list[Piece], goes: set[int]) -> str:
    """The text without the pieces that begin at `goes`.

    Of the gaps around what is cut the first stays if it has a blank line, else the last; at the end of the text that
    behind its last piece, at its begin none.
    """
    kept = [k for k, piece in enumerate(pieces) if piece.start not in goes]
    if not kept or len(kept) == len(pieces):
        return "" if pieces and not kept else text
    left = "" if kept[0] else text[: pieces[0].start]
    for k, following in zip(kept, [*kept[1:], len(pieces)], strict=True):
        left += text[pieces[k].start : pieces[k].end]
        if following < len(pieces):
            gaps = (text[pieces[n].end : pieces[n + 1].start] for n in (k, following - 1))
            left += next(
                (gap for gap in gaps if gap.count("\n") > 1), text[pieces[following - 1].end : pieces[following].start]
            )
    return left + text[pieces[-1].end :]


def run(config: ParagraphsConfig, units: Sequence[Block], folder: Path, memory: int = 1 << 30) -> Left:
    """(text of each row that is left, fates of the others, all spans with the id of their row)."""
    config.resolve(units, folder, InProcess(memory))
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


def check(config: ParagraphsConfig, rows: list[Row], units: Sequence[Block], folder: Path) -> Left:
    """Run the stage, and compare the texts left with `expected`, and spans and fates with the texts."""
    left, fates, spans = run(config, units, folder)
    texts = {row["id"]: row["text"] for row in rows}
    wanted = expected(texts, config)
    assert left == {id: text for id, text in wanted.items() if id not in fates}
    assert fates.keys() == {id for id, text in wanted.items() if text != texts[id] and len(text) < config.min_chars}
    pieces = {id: {p.start: p.normal for p in pieces_of(text, config)} for id, text in texts.items()}
    for span in spans:
        own, twin = texts[span["id"]].encode(), texts[span["twin"]].encode()
        assert len(own[span["start"] : span["end"]].decode()) == span["chars"] > 0
        begin, twin_begin = len(own[: span["start"]].decode()), len(twin[: span["twin_start"]].decode())
        first = min(start for start in pieces[span["id"]] if start >= begin)
        assert pieces[span["id"]][first] == pieces[span["twin"]][twin_begin]
        assert (span["id"], first) != (span["twin"], twin_begin)
    return left, fates, spans


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(TEXTS, SETTINGS, st.integers(1, 4))
def test_what_is_left_is_what_plain_python_leaves(
    make_units: Make,
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str],
    config: ParagraphsConfig,
    unit_rows: int,
) -> None:
    rows, folder = [make_row(k, text) for k, text in enumerate(texts)], tmp_path_factory.mktemp("paragraphs")
    check(config, rows, make_units(rows, unit_rows, folder.name), folder)


@pytest.mark.parametrize("normalize", ["ccnet", "c4", "none"])
def test_every_character_is_normalised_as_in_the_sources(normalize: Any) -> None:
    """Except İ, whose lower case is two characters: it is not changed."""
    table = characters(normalize)
    for code in {*range(0xD800), *range(0xE000, 0x2_0000)} - {ord("İ")}:
        taken = "" if table[code] == 0xFFFFFFFF else chr(table[code])
        assert f"x{taken}x" == normal_in_sources(f"x{chr(code)}x", normalize), hex(code)
    assert (table[0x2_0000:] == np.arange(0x2_0000, 0x11_0000)).all()


@pytest.mark.parametrize("normalize", ["ccnet", "c4"])
@pytest.mark.parametrize("split", ["line", "paragraph"])
def test_lines_that_look_the_same_are_equal_and_begin_where_they_do(split: Any, normalize: Any) -> None:
    lines = ["Café a", "Cafe\u0301\u200b a", "\u200b Ｃaf\u00adé a\ufeff"]
    array = pa.array(["x", "\n\n".join(lines), "plain"], pa.large_string())[1:]
    pieces = Paragraphs(split, normalize)._pieces(array, np.ones(2, np.bool_))
    assert pieces.rows.tolist() == [0, 0, 0, 1]
    assert pieces.starts.tolist() == [0, *np.cumsum([len(f"{line}\n\n".encode()) for line in lines[:2]]).tolist(), 0]
    assert len(set(pieces.hashes[:3].tolist())) == 1
    assert len(set(Paragraphs(split, "none")._pieces(array, np.ones(2, np.bool_)).hashes.tolist())) == 4


def test_ccnets_own_example_is_normalised_as_in_its_code() -> None:
    """The example of tests/test_normalizer.py in its code; accents and the marks of ASCII stay."""
    assert hashes_of("０２３´∶：\x10 | ;012 hèllo", "ccnet") == hashes_of("000 | ;000 hèllo", "none")
    assert hashes_of("hèllo", "ccnet") != hashes_of("hello", "ccnet")


def hashes_of(text: str, normalize: Any) -> list[int]:
    return Paragraphs("line", normalize).marks(pa.array([text], pa.large_string())).hashes.tolist()


def test_a_piece_has_one_hash_in_every_text_and_another_after_any_change() -> None:
    rng = random.Random(1)
    texts = ["".join(rng.choices("abc é中🌾", k=rng.randrange(1, 300))) for _ in range(300)]
    texts += [text[:k] + "z" + text[k + 1 :] for text in texts for k in [rng.randrange(len(text))]]
    hasher = Paragraphs("line", "none")
    around = pa.array([f"first\n{text}\nlast" for text in texts], pa.large_string())
    rows, starts, hashes, checks = hasher.pieces(
        around, np.ones(len(texts), np.bool_), HashSet.of(hasher.marks(pa.array(texts, pa.large_string())).hashes)
    )
    bare = {text: value for text in texts if text.strip() for value in hashes_of(text, "none")}
    assert {texts[row] for row in rows} == bare.keys()
    assert starts.tolist() == [6] * len(rows)
    assert [bare[texts[row]] for row in rows] == hashes.tolist()
    assert len(set(hashes.tolist())) == len(set(checks.tolist())) == len(bare)


def test_the_result_depends_on_neither_units_nor_their_order_nor_memory(make_units: Make, tmp_path: Path) -> None:
    rng = random.Random(2)
    lines = [f"line {k // 10} {'x' * (k % 10)}" for k in range(400)]
    rows = [make_row(k, "\n".join(rng.choices(lines, k=rng.randrange(12)))) for k in range(200)]
    config, results = ParagraphsConfig(name="p", normalize="c4", keep="first"), []
    for n, (unit_rows, memory) in enumerate([(200, 1 << 30), (7, 1 << 30), (50, 1 << 12)]):
        left, fates, spans = run(config, make_units(rows, unit_rows, f"units{n}"), tmp_path / str(n), memory)
        spans = sorted(
            ({k: v for k, v in span.items() if k != "row"} for span in spans), key=lambda s: (s["id"], s["start"])
        )
        results.append((left, fates, spans))
        rng.shuffle(rows)
    assert results[0] == results[1] == results[2]
    lines_left = [line for text in left.values() for line in (text or "").split("\n") if line]
    assert (
        len(lines_left)
        == len(set(lines_left))
        == len({line for row in rows for line in row["text"].split("\n") if line})
    )


def in_id_order(count: int) -> list[str]:
    return [str(k) for k in sorted(range(count), key=make_id)]


def one(make_units: Make, folder: Path, texts: list[str], **values: Any) -> list[str | None]:
    """The texts left of `texts`, whose documents are in the order of ids."""
    names = in_id_order(len(texts))
    rows = [make_row(name, text) for name, text in zip(names, texts, strict=True)]
    left, _, _ = check(ParagraphsConfig(name="p", **values), rows, make_units(rows, 1), folder)
    return [left.get(make_id(name)) for name in names]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a\nMenu\nb", "a\nb"),
        ("a\nMENU\n\nb", "a\n\nb"),
        ("a\n\nMenu\nb", "a\n\nb"),
        ("a\n\nMenu\n\nb", "a\n\nb"),
        ("a\n\n Menu \nMenu\n\n\nb\n", "a\n\nb\n"),
        ("a\nMenu", "a"),
        ("a\n\nMenu\n", "a\n"),
        ("Menu\n\na", "a"),
        ("Menu\n\na\nMenu", "a"),
        ("a\r\nMenu\r\nb\r\n", "a\r\nb\r\n"),
        ("a\r\n\r\nMenu\r\n\r\nb", "a\r\n\r\nb"),
        ("Menu", None),
    ],
)
def test_a_cut_line_includes_a_line_end(make_units: Make, tmp_path: Path, text: str, left: str | None) -> None:
    assert one(make_units, tmp_path, ["Menu\nx", text]) == ["x", left]
    assert one(make_units, tmp_path / "first", ["Menu\nx", text], keep="first") == ["Menu\nx", left]


def test_a_paragraph_ends_at_a_blank_line(make_units: Make, tmp_path: Path) -> None:
    texts = ["one\ntwo\n\nthree", "four\r\n \t\r\nOne\ntwo\r\n\r\nfive", "two\n\none"]
    assert one(make_units, tmp_path, texts, split="paragraph") == ["three", "four\r\n \t\r\nfive", "two\n\none"]


def test_digits_and_marks_do_not_distinguish_lines_of_ccnet(make_units: Make, tmp_path: Path) -> None:
    texts = ["Page 1 of 20\nx", "PAGE 7 of 31…\ny"]
    assert one(make_units, tmp_path / "ccnet", texts) == ["x", "y"]
    assert one(make_units, tmp_path / "c4", texts, normalize="c4") == texts


def test_short_pieces_stay(make_units: Make, tmp_path: Path) -> None:
    texts = ["abcd\nabc", "abcd\nabc"]
    assert one(make_units, tmp_path, texts, min_piece_chars=4) == ["abc", "abc"]


@pytest.mark.parametrize(("chars", "stays"), [(19, False), (20, True)])
def test_a_document_with_little_left_is_removed(make_units: Make, tmp_path: Path, chars: int, stays: bool) -> None:
    line, rest, (first, second) = "a line of many", "y" * chars, in_id_order(2)
    rows = [make_row(first, line), make_row(second, f"{line}\n{rest}")]
    left, fates, _ = check(ParagraphsConfig(name="p", keep="first", min_chars=20), rows, make_units(rows), tmp_path)
    assert (left.get(make_id(second)) == rest) == stays
    assert fates == ({} if stays else {make_id(second): (make_id(first), 15 / (15 + chars))})


def test_mask_marks_the_bytes_that_cut_would_remove(make_units: Make, tmp_path: Path) -> None:
    rows = [make_row(k, f"中 own {'x' * k}\n\nMenu\n\nend {'x' * k}") for k in range(3)]
    units = make_units(rows, 2)
    _, _, cut = run(ParagraphsConfig(name="p"), units, tmp_path / "cut")
    left, fates, spans = run(ParagraphsConfig(name="p", action="mask"), units, tmp_path / "mask")
    assert (left, fates, spans) == ({row["id"]: row["text"] for row in rows}, {}, [])
    columns = [open_arrow(columns_path(tmp_path / "mask" / f"{unit.key}.arrow")).read_all() for unit in units]
    masked = [row for table in columns for row in table.to_pylist()]
    assert [row["masked"] for row in masked] == [[span["start"], span["end"]] for span in cut]
    assert [row["p.masked_chars"] for row in masked] == [6, 6, 6]


def test_of_many_equal_lines_one_is_kept(make_units: Make, tmp_path: Path) -> None:
    rows = [make_row(k, "one line\n" * 50) for k in range(2_000)] + [make_row("no text", None)]
    left, fates, _ = run(ParagraphsConfig(name="p", keep="first"), make_units(rows, 700), tmp_path / "first")
    first = min(make_id(k) for k in range(2_000))
    assert left == {first: "one line\n", make_id("no text"): None}
    assert set(fates.values()) == {(first, 1.0)}
    left, _, _ = run(ParagraphsConfig(name="p"), make_units(rows, 700), tmp_path / "none")
    assert left == {make_id("no text"): None}


def test_a_line_of_five_megabytes_is_one_piece(make_units: Make, tmp_path: Path) -> None:
    long = "ab cd " * 850_000
    first, second = in_id_order(2)
    units = make_units([make_row(first, long), make_row(second, f"own\n{long.upper()}")])
    left, _, (span,) = run(ParagraphsConfig(name="p", keep="first"), units, tmp_path)
    assert left == {make_id(first): long, make_id(second): "own"}
    assert (span["chars"], span["twin_start"]) == (len(long) + 1, 0)


@pytest.mark.parametrize(
    "texts", [[], [""], [None, None], [" \n"] * 3, ["\n\r\n", "\n"], ["…\n。"] * 2, ["🌾", "🌾🌾"]]
)
def test_blank_and_unique_lines_are_not_changed(make_units: Make, tmp_path: Path, texts: list[str | None]) -> None:
    rows = [make_row(k, text) for k, text in enumerate(texts)]
    left, fates, spans = run(ParagraphsConfig(name="p"), make_units(rows, 2), tmp_path / "out")
    assert (left, fates, spans) == ({row["id"]: row["text"] for row in rows}, {}, [])


def test_lines_of_emoji_are_compared_like_others(make_units: Make, tmp_path: Path) -> None:
    assert one(make_units, tmp_path, ["👩‍🌾👩‍🌾\na", "👩‍🌾👩‍🌾\nb", "👩‍🌾\nc"]) == ["a", "b", "👩‍🌾\nc"]


@pytest.mark.real
@pytest.mark.parametrize("split", ["line", "paragraph"])
def test_real_pages_lose_what_plain_python_removes(
    make_units: Make, tmp_path: Path, real_data: Path, split: Any
) -> None:
    with gzip.open(real_data / "truth" / "pages.jsonl.gz", "rt") as lines:
        pages = [json.loads(line) for line in lines]
    texts = [page.get("main_content") or "" for page in pages]
    rows = [make_row(k, text) for k, text in enumerate(texts)]
    config = ParagraphsConfig(name="p", split=split, keep="first")
    _, _, spans = check(config, rows, make_units(rows, 1_000), tmp_path)
    assert len(spans) > 20


@pytest.mark.parametrize(
    "values", [{"split": "word"}, {"normalize": "paper"}, {"min_piece_chars": 0}, {"min_chars": 0}]
)
def test_settings_that_cannot_work_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ParagraphsConfig(name="p", **values)
