import re
from html import unescape
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage_cases import reasons

from cleaners.language_guess import LanguageGuessConfig, crude_text, is_audited, strip_tags
from shards.errors import UserError
from shards.stage import Batch

pytestmark = pytest.mark.usefixtures("language_model")

ENGLISH = "The mill grinds slowly, but it grinds exceedingly fine, and the flour is sold at the market. " * 4
GERMAN = "Die Mühle mahlt langsam, aber sie mahlt sehr fein, und das Mehl wird auf dem Markt verkauft. " * 4
NOT_AUDITED, AUDITED = "0" * 16 + "f" * 16, "f" * 16 + "0" * 16


def page(text: str, head: str = "") -> bytes:
    return f"<!DOCTYPE html><html><head><title>Mill</title>{head}</head><body><p>{text}</p></body></html>".encode()


def pages(*payloads: bytes | None, id: str = NOT_AUDITED) -> Batch:
    rows = [{"id": id, "payload": payload, "http_charset": None, "text": None} for payload in payloads]
    types = [("id", pa.string()), ("payload", pa.large_binary()), ("http_charset", pa.string())]
    return pa.RecordBatch.from_pylist(rows, pa.schema([*types, ("text", pa.large_string())]))


def plain_strip(html: str) -> str:
    """The text between tags by regular expressions."""
    html = re.sub(r"<!--.*?(?:-->|\Z)", " ", html, flags=re.DOTALL)
    html = re.sub(r"<script\b.*?(?:</script[^>]*>|\Z)", " ", html, flags=re.DOTALL | re.IGNORECASE)
    html = re.sub(r"<style\b.*?(?:</style[^>]*>|\Z)", " ", html, flags=re.DOTALL | re.IGNORECASE)
    return re.sub(r"[\0- ]+", " ", re.sub(r"</?[a-zA-Z!?][^>]*(?:>|\Z)", " ", html)).lstrip(" ")


parts = st.sampled_from(
    ["<p>", "</p>", "<br/>", "<!-- a <b> -->", "<script>if (a<b) x('</p>')</script>", "<STYLE>p{}</STYLE >", "3 < 4",
     " \n\t", "слово", "世界", "é", "😀", "<div class='x y'>", "\0", "a-->b", "&amp;", "<!DOCTYPE html>", "x"]
)  # fmt: skip


@given(html=st.lists(parts, max_size=30).map("".join))
def test_tags_scripts_and_comments_are_removed_as_by_regular_expressions(html: str) -> None:
    data = np.frombuffer(html.encode(), np.uint8)
    assert strip_tags(data, 1 << 16).decode() == plain_strip(html)


@given(st.text(alphabet="<>!-/scripty le&;\nа", max_size=80))
def test_broken_markup_does_no_harm(html: str) -> None:
    text = strip_tags(np.frombuffer(html.encode(), np.uint8), 50)
    assert len(text) <= 50
    assert b"\n" not in text


def test_unwanted() -> None:
    batch = pages(page(ENGLISH), page(GERMAN))
    assert reasons(LanguageGuessConfig(), batch) == [[], ["unwanted"]]
    assert reasons(LanguageGuessConfig(languages=("de",)), batch) == [["unwanted"], []]
    assert reasons(LanguageGuessConfig(languages=("de", "en")), batch) == [[], []]
    assert reasons(LanguageGuessConfig(min_wanted_score=None), batch) == [[], []]


def test_a_page_at_the_threshold_is_kept() -> None:
    batch = pages(page(GERMAN))
    score = LanguageGuessConfig().build()(batch)["language_guess.wanted_score"][0].as_py()
    assert reasons(LanguageGuessConfig(min_wanted_score=score), batch) == [[]]
    assert reasons(LanguageGuessConfig(min_wanted_score=score * 1.001), batch) == [["unwanted"]]


def test_an_audited_page_is_scored_and_never_dropped() -> None:
    row = LanguageGuessConfig().build()(pages(page(GERMAN), id=AUDITED)).to_pylist()[0]
    other = LanguageGuessConfig().build()(pages(page(GERMAN))).to_pylist()[0]
    assert (row["language_guess.wanted_score"], other["language_guess.audited_score"]) == (None, None)
    assert row["language_guess.audited_score"] == other["language_guess.wanted_score"] < 0.01
    assert reasons(LanguageGuessConfig(), pages(page(GERMAN), id=AUDITED)) == [[]]


def test_the_audit_sample_has_its_fraction_of_ids() -> None:
    ids = [f"{i * 0x9E3779B97F4A7C15 % 2**128:032x}" for i in range(20_000)]
    assert sum(is_audited(id, 0.01) for id in ids) == pytest.approx(200, rel=0.2)
    assert not any(is_audited(id, 0.0) for id in ids)
    assert all(is_audited(id, 1.0) for id in ids)


@pytest.mark.parametrize(
    "payload",
    [None, b"", b"<html>", page("Mühle"), page("<script>" + GERMAN + "</script>"), page(f"<!-- {GERMAN} -->")],
)
def test_a_page_with_too_little_text_is_not_judged(payload: bytes | None) -> None:
    assert LanguageGuessConfig().build()(pages(payload))["language_guess.wanted_score"].to_pylist() == [None]


def test_rows_that_bring_their_text_pass() -> None:
    batch = pages(None).drop_columns(["payload", "http_charset"])
    assert reasons(LanguageGuessConfig(), batch) == [[]]


def test_text_after_a_megabyte_of_scripts_is_found() -> None:
    script = "<script>" + "var x = '<p>'; " * 80_000 + "</script>"
    assert GERMAN.strip()[:80] in crude_text(page(GERMAN, script), None)


def test_references_and_charsets_are_read() -> None:
    russian = "Мельница мелет медленно, но мука выходит очень мелкой, и её продают на рынке. " * 4
    as_references = "".join(f"&#{ord(c)};" if c != " " else c for c in russian)
    assert crude_text(page(as_references), None) in unescape(f"Mill {russian}")
    assert russian.strip()[:70] in crude_text(f"<p>{russian}</p>".encode("cp1251"), "windows-1251")


def test_unknown_languages_and_none_are_the_users_errors() -> None:
    with pytest.raises(UserError, match="the model has no eng"):
        LanguageGuessConfig(languages=("eng",)).build()
    with pytest.raises(UserError, match="name the languages"):
        LanguageGuessConfig.parse({"languages": []}, "here")
    with pytest.raises(UserError, match="from 0 to 1"):
        LanguageGuessConfig.parse({"audit_fraction": 2.0}, "here")


@pytest.mark.real
def test_no_page_that_is_english_by_its_whole_text_is_dropped(real_data: Path) -> None:
    """Real pages, at the default threshold of the stage."""
    from cleaners.crawl.warc import WarcReader
    from cleaners.extract import ExtractConfig
    from cleaners.language import LanguageConfig
    from shards.storage import InputFile

    file = real_data / "crawl" / "part-00.warc.gz"
    reader = iter(WarcReader("web", InputFile(str(file), file.name, file.stat().st_size), 0))
    batch = next(reader).slice(0, 200)
    guess = LanguageGuessConfig(audit_fraction=0.0).build()(batch)["language_guess.wanted_score"].to_pylist()
    extract = ExtractConfig(engine="resiliparse").build()
    rows = LanguageConfig(name="language").build()(extract(batch)).to_pylist()
    english = [g for g, row in zip(guess, rows, strict=True) if row["language"] == "en" and row["language_score"] > 0.8]
    assert len(english) > 20
    assert all(score is None or score >= 0.01 for score in english)


def test_an_audit_has_the_threshold_and_the_reason_of_the_guess() -> None:
    config = LanguageGuessConfig(name="guess", min_wanted_score=0.02)
    audit = config.audit()
    assert audit is not None
    assert (audit.metric, audit.min_kept) == ("guess.audited_score", 0.02)
    assert [audit.reason] == [rule.reason for rule in config.rules()]
    assert LanguageGuessConfig(min_wanted_score=None).audit() is None
