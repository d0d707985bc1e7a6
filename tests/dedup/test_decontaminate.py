"""Every n-gram of an evaluation set in a document is found, with its item and its span, and no other."""

import csv
import gzip
import json
import random
import tarfile
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from dedup_oracles import plain_word_spans
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dedup.decontaminate import DecontaminateConfig
from pipelines.core import run_stage
from shards.errors import UserError
from shards.stage import Batch, Searches

Record = dict[str, Any]


def write_set(path: Path, records: Sequence[Record]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def config(sets: dict[str, Path | str], **values: Any) -> DecontaminateConfig:
    given = {"name": "d", "sets": {name: str(path) for name, path in sets.items()}} | values
    return DecontaminateConfig.parse(given, "recipe.toml: d")


def measure(stage: DecontaminateConfig, texts: Sequence[str | None]) -> list[Record]:
    batch: Batch = pa.RecordBatch.from_arrays([pa.array(["x", *texts], pa.large_string()).slice(1)], names=["text"])
    done = run_stage(batch, stage, stage.build())
    done.validate(full=True)
    assert done.schema.names == ["text", *stage.columns().names]
    assert [done.schema.field(f.name).type for f in stage.columns()] == stage.columns().types
    return [{name.removeprefix("d."): value for name, value in row.items()} for row in done.to_pylist()]


def plain_hits(items: Sequence[Sequence[str]], text: str, n: int, least: int) -> Record:
    """Words compared one by one."""
    words = plain_word_spans(text)
    places: set[tuple[int, int]] = set()
    owners = set()
    for number, passages in enumerate(items):
        for passage in passages:
            wanted = [word for word, _, _ in plain_word_spans(passage)]
            width = min(n, len(wanted))
            if width < least:
                continue
            for first in range(len(wanted) - width + 1):
                for at in range(len(words) - width + 1):
                    if [word for word, _, _ in words[at : at + width]] == wanted[first : first + width]:
                        places.add((at, width))
                        owners.add(f"set:{number}")
    spans: list[int] = []
    for at, width in sorted(places):
        start, end = words[at][1], words[at + width - 1][2]
        if spans and start <= spans[-1]:
            spans[-1] = max(spans[-1], end)
        else:
            spans += [start, end]
    return {"hits": len(places), "items": owners, "spans": spans}


WORDS = st.lists(st.sampled_from(["a", "B", "c!", "的", "了", "ё", "D"]), max_size=9).map(" ".join)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(WORDS, max_size=3), min_size=1, max_size=4), st.lists(WORDS, max_size=4), st.data())
def test_hits_are_those_of_plain_python(
    tmp_path_factory: pytest.TempPathFactory, items: list[list[str]], texts: list[str], data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, 4))
    least = data.draw(st.integers(1, n))
    path = write_set(tmp_path_factory.mktemp("set") / "a.jsonl", [{"parts": [*parts, "a B c D"]} for parts in items])
    found = measure(config({"set": path}, ngram=n, min_words=least, segmented=False), texts)
    for row, text in zip(found, texts, strict=True):
        wanted = plain_hits([[*parts, "a B c D"] for parts in items], text, n, least)
        row["items"] = set(row["items"])
        assert {key: row[key] for key in wanted} == wanted


QUESTION = "Which of these animals lives the longest in the cold waters of the northern sea?"  # 15 words


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    return write_set(tmp_path / "q.jsonl", [{"question": QUESTION, "choices": ["seal", "whale"], "answer": 1}])


def test_case_and_punctuation_do_not_hide_an_item(questions: Path) -> None:
    pasted = QUESTION.upper().replace(" ", " – ")
    (row,) = measure(config({"arc": questions}), [f"Ein Satz davor: «{pasted}» und danach ü."])
    assert (row["hits"], row["items"]) == (3, ["arc:0"])
    start = len("Ein Satz davor: «".encode())
    assert row["spans"] == [start, start + len(pasted.encode()) - 1]
    assert row["found"] == [pasted[:-1]]


@pytest.mark.parametrize("hide", ["\u00ad", "\u200b", "\u2060", "\ufe0f"])
def test_characters_that_nobody_sees_do_not_hide_an_item(questions: Path, hide: str) -> None:
    pasted = hide.join(QUESTION)
    text = f"Ein Satz davor: « {hide}{pasted} » und danach é, e\u0301."
    (plain, row) = measure(config({"arc": questions}, action="cut"), [QUESTION, text])
    assert (row["hits"], row["items"]) == (plain["hits"], ["arc:0"])
    assert row["text"] == f"Ein Satz davor: « {hide}? » und danach é, e\u0301."


def test_an_item_in_other_code_points_is_found_where_it_stands(tmp_path: Path) -> None:
    item = "Élève à l'école où l'été dernier nous avons appris à compter les sacs de blé"
    path = write_set(tmp_path / "q.jsonl", [{"q": unicodedata.normalize("NFD", item)}])
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in item)
    texts = [f"前，{form}。后" for form in (item, unicodedata.normalize("NFD", item), wide)]
    rows = measure(config({"q": path}, action="cut"), ["nothing here", *texts, "nor here"])
    assert [row["items"] for row in rows] == [[], ["q:0"], ["q:0"], ["q:0"], []]
    assert [row["text"] for row in rows[1:4]] == ["前，。后"] * 3


def test_one_word_less_than_an_ngram_is_not_a_hit(questions: Path) -> None:
    words = QUESTION.split()
    rows = measure(config({"arc": questions}), [" ".join(words[:12]), " ".join(words[1:14]), "", None])
    assert [row["hits"] for row in rows] == [0, 1, 0, None]
    assert [row["items"] for row in rows] == [[], ["arc:0"], [], None]
    assert [row["spans"] is None for row in rows] == [False, False, False, True]


@pytest.mark.parametrize(("num_words", "searched"), [(7, False), (8, True), (12, True)])
def test_a_short_passage_is_searched_whole_or_counted_as_too_short(
    tmp_path: Path, num_words: int, searched: bool
) -> None:
    short = " ".join(QUESTION.split()[:num_words])
    path = write_set(tmp_path / "q.jsonl", [{"q": short}, {"q": QUESTION[::-1]}])
    assert config({"arc": path}).build().index.searched() == {"arc": {"items": 2, "searched": 1 + searched}}
    (row, part) = measure(config({"arc": path}), [f"And {short} it is", " ".join(short.split()[1:])])
    assert (row["items"], part["items"]) == (["arc:0"] if searched else [], [])


def test_a_set_without_a_searchable_item_is_refused(tmp_path: Path, questions: Path) -> None:
    path = write_set(tmp_path / "short.jsonl", [{"q": "Two words"}, {"q": ""}, {"n": 3}])
    with pytest.raises(
        UserError, match=r"^d\.sets\.short: none of its 3 items has a passage of 8 words.*leave the set"
    ):
        config({"arc": questions, "short": path}).build()


def test_a_set_of_the_texts_themselves_covers_them_whole(tmp_path: Path) -> None:
    rng = random.Random(1)
    texts = [" ".join(f"w{rng.randrange(500)}" for _ in range(200)) for _ in range(30)]
    path = write_set(tmp_path / "all.jsonl", [{"text": text} for text in texts])
    rows = measure(config({"all": path}), texts)
    assert [row["spans"] for row in rows] == [[0, len(text)] for text in texts]
    assert [row["items"] for row in rows] == [[f"all:{k}"] for k in range(30)]
    assert {row["hits"] for row in rows} == {188}
    assert {len(found) for row in rows for found in row["found"]} == {200}
    cut = measure(config({"all": path}, action="cut"), [f"{text}. And more" for text in texts])
    assert {row["text"] for row in cut} == {". And more"}


def test_words_that_all_texts_of_a_field_begin_with_are_not_part_of_an_item(tmp_path: Path) -> None:
    """Nine words between a first and a last one that are the prompt's."""
    texts = [f"a{k} {' '.join(QUESTION.split()[:7])} b{k}" for k in range(10)]
    records = [{"q": f"Question: {text} Answer:"} for text in texts]
    path = write_set(tmp_path / "q.jsonl", records)
    assert [row["items"] for row in measure(config({"arc": path}), texts)] == [[f"arc:{k}"] for k in range(10)]
    path = write_set(tmp_path / "few.jsonl", records[:9])
    assert measure(config({"arc": path}), texts)[0]["items"] == []


def test_cut_removes_the_passages_and_drop_and_flag_leave_the_text(questions: Path) -> None:
    text = f"Before. {QUESTION} After."
    texts = {a: measure(config({"arc": questions}, action=a), [text])[0]["text"] for a in ("drop", "cut", "flag")}
    assert texts == {"drop": text, "flag": text, "cut": "Before. ? After."}
    rules = {a: config({"arc": questions}, action=a).rules() for a in ("drop", "cut", "flag")}
    assert [a for a, found in rules.items() if found] == ["drop"]
    (rule,) = rules["drop"]
    assert (rule.reason, rule.metric, rule.max_kept) == ("d.contaminated", "d.hits", 0)
    assert [config({"arc": questions}, action=a).edits for a in ("drop", "cut", "flag")] == [False, True, False]
    assert config({"arc": questions}, action="flag").carried().names == ["d.hits", "d.items"]


def test_only_the_named_fields_are_searched(tmp_path: Path) -> None:
    path = write_set(tmp_path / "q.jsonl", [{"a": QUESTION, "b": {"text": [QUESTION[::-1]], "label": ["A"]}}])
    texts = [QUESTION, QUESTION[::-1]]
    assert [row["hits"] for row in measure(config({"s": path}), texts)] == [3, 3]
    assert [row["hits"] for row in measure(config({"s": path}, fields=["b"]), texts)] == [0, 3]
    with pytest.raises(UserError, match=r"q\.jsonl: has no field question or c; it has 'a', 'b'$"):
        config({"s": path}, fields=["question", "c"]).digests()


def test_the_digest_follows_the_bytes_of_the_files(tmp_path: Path, questions: Path) -> None:
    before = config({"arc": questions}).digests()
    assert before.keys() == {"d.sets.arc"}
    assert config({"arc": questions}, ngram=12).digests() == before
    write_set(questions, [{"question": QUESTION + "!"}])
    assert config({"arc": questions}).digests() != before


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ({"sets": {}}, "at least one"),
        ({"sets": {"a/b": "x"}}, "letters"),
        ({"sets": "x"}, "table"),
        ({"min_words": 14}, "min_words"),
        ({"action": "flag", "max_hits": 2}, "max_hits"),
        ({"action": "keep"}, "action"),
        ({"max_hits": -1}, "max_hits"),
    ],
)
def test_settings_that_cannot_work_are_refused(values: Record, cause: str) -> None:
    with pytest.raises((UserError, ValidationError), match=cause):
        DecontaminateConfig.parse({"sets": {"arc": "x"}} | values, "recipe.toml")


def read_jsonl(path: Path) -> list[Record]:
    with gzip.open(path, "rt") as file:
        return [json.loads(line) for line in file]


@pytest.mark.real
def test_questions_pasted_into_real_texts_are_found_where_they_were_pasted(real_data: Path, tmp_path: Path) -> None:
    """English, Chinese, and Russian, for which sentences of a novel stand as the set."""
    with tarfile.open(real_data / "eval/cmmlu-dev.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    arc = real_data / "eval/en/arc_easy.jsonl.gz"
    with gzip.open(real_data / "text/ru/Chekhov_Dama.txt.gz", "rt") as file:
        lines = [line.strip() for line in file if len(line.split()) > 14]
    write_set(tmp_path / "ru.jsonl", [{"text": line} for line in lines[:50]])
    stage = config({"arc": arc, "cmmlu": tmp_path / "dev", "ru": tmp_path / "ru.jsonl"})

    asked = {"arc:5": read_jsonl(arc)[5]["query"].removeprefix("Question: "), "ru:3": lines[3]}
    with (tmp_path / "dev/marketing.csv").open(newline="") as file:
        asked["cmmlu/marketing.csv:0"] = next(csv.DictReader(file))["Question"]
    page = "Новая страница 新的网页 a new page.\n"
    texts = [f"{page}{question}\n{page}" for question in asked.values()] + [page]
    *rows, clean = measure(stage, texts)
    for row, (item, question), text in zip(rows, asked.items(), texts, strict=False):
        assert item in row["items"]
        start, end = row["spans"]
        found = text.encode()[start:end].decode()
        assert question.startswith(found)
        assert question[len(found) :].strip('?.!:…»"（）() ') == ""
    assert clean["hits"] == 0


@pytest.mark.real
def test_every_searched_question_is_found_in_its_own_text(real_data: Path) -> None:
    """Of ARC's own questions all that are searched for are found, each in its own text and perhaps in a similar one."""
    arc = real_data / "eval/en/arc_easy.jsonl.gz"
    stage = config({"arc": arc})
    searched = stage.build().index.searched()["arc"]
    texts = ["\n\n".join([record["query"], *record["choices"]]) for record in read_jsonl(arc)]
    rows = measure(stage, texts)
    own = Counter(f"arc:{k}" in row["items"] for k, row in enumerate(rows))
    assert (own[True], own.total()) == (searched["searched"], searched["items"])


def test_a_report_learns_what_was_searched_for() -> None:
    config = DecontaminateConfig(name="clean", sets=(("arc", "arc.jsonl"),), ngram=9, min_words=5, action="flag")
    assert config.searches() == Searches(9, "flag", "contamination/clean.json")
    assert config.searches().journal == config.journal()
