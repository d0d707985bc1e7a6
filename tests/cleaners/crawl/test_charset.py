import gzip
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType
from hypothesis import given
from hypothesis import strategies as st

from cleaners.crawl.charset import Decoded, codec_of, decode

RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю. "
CHINESE = "天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。"


def page(charset: str, text: str, declaration: str) -> bytes:
    return f"<html><head>{declaration}</head><body><p>{text}</p></body></html>".encode(charset)


@given(st.binary(max_size=200), st.none() | st.text(max_size=20) | st.sampled_from(["utf-8", "gbk", "utf-16", "idna"]))
def test_decoding_never_raises(payload: bytes, http_charset: str | None) -> None:
    decoded = decode(payload, http_charset)
    assert decoded.text.count("\ufffd") >= decoded.num_replaced >= 0


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("gb2312", "gb18030"),
        (" 'GBK' ", "gb18030"),
        ("ISO-8859-1", "cp1252"),
        ("us-ascii", "cp1252"),
        ("iso-8859-9", "cp1254"),
        ("Shift_JIS", "cp932"),
        ("x-sjis", "cp932"),
        ("ks_c_5601-1987", "cp949"),
        ("tis-620", "cp874"),
        ("big5", "big5hkscs"),
        ("x-user-defined", "cp1252"),
        ("koi8-r", "koi8-r"),
        ("utf-7", None),
        ("base64", None),
        ("idna", None),
        ("none", None),
        ("", None),
        ("a\x00b", None),
        ("x" * 5000, None),
    ],
)
def test_codec_of_a_label(label: str, codec: str | None) -> None:
    assert codec_of(label) == codec


@pytest.mark.parametrize(
    ("payload", "http_charset", "charset", "source"),
    [
        (b"\xef\xbb\xbfabc", "gbk", "utf-8", "bom"),
        (b"\xff\xfea\x00", None, "utf-16-le", "bom"),
        (b"\xff\xfe\x00\x00a\x00\x00\x00", None, "utf-32-le", "bom"),
        (page("cp1251", RUSSIAN, '<meta charset="koi8-r">'), "windows-1251", "cp1251", "http"),
        (page("cp1251", RUSSIAN, '<meta charset="windows-1251">'), "no such charset", "cp1251", "meta"),
        (
            page("gbk", CHINESE, '<meta http-equiv="Content-Type" content="text/html; charset=gb2312">'),
            None,
            "gb18030",
            "meta",
        ),
        (b'<?xml version="1.0" encoding="koi8-r"?><a>' + RUSSIAN.encode("koi8-r"), None, "koi8-r", "meta"),
        (page("cp1251", RUSSIAN, '<!-- <meta charset="koi8-r"> --><meta charset=cp1251>'), None, "cp1251", "meta"),
        (page("utf-8", RUSSIAN, '<meta charset="utf-16">'), None, "utf-8", "meta"),
        (page("ascii", "plain", ""), "utf-16", "utf-8", "utf8"),
        (page("utf-8", RUSSIAN, ""), None, "utf-8", "utf8"),
        (page("utf-8", RUSSIAN, ""), "iso-8859-1", "utf-8", "utf8"),
        (page("utf-8", CHINESE, ""), "shift_jis", "utf-8", "utf8"),
        (page("cp1251", RUSSIAN * 5, ""), None, "cp1251", "detector"),
        (page("cp1251", RUSSIAN * 5, '<meta charset="utf-8">'), None, "cp1251", "detector"),
        (page("iso2022_jp", "こんにちは世界" * 5, ""), None, "iso2022_jp", "detector"),
        (page("utf-16-be", "plain", ""), None, "utf-16-be", "detector"),
        (page("utf-32-le", "plain", ""), None, "utf-32-le", "detector"),
    ],
)
def test_the_charset_comes_from_the_first_source_that_names_it(
    payload: bytes, http_charset: str | None, charset: str, source: str
) -> None:
    decoded = decode(payload, http_charset)
    assert (decoded.charset, decoded.source, decoded.num_replaced) == (charset, source, 0)


@pytest.mark.parametrize(
    ("payload", "is_taken"),
    [
        (b"<p>They don\xd5t grind, \xd2said\xd3 he", True),
        (b"<p>They don\xd5t grind in a caf\x8e", False),  # more than quotes: the detector's finding stands
        (b"<p>LES \xd5UVRES", False),
    ],
)
def test_curly_quotes_of_macroman_are_distinguished_from_capital_letters(payload: bytes, is_taken: bool) -> None:
    assert (decode(payload).charset == "mac-roman") is is_taken


@pytest.mark.parametrize(
    ("payload", "is_taken"),
    [
        (("한글 문서는 조합형으로 쓰였다. " * 4).encode("johab"), True),
        (("한글 문서는 조합형으로 쓰였다. " * 4).encode("johab") + b"\xff", False),
        ("한글 문서는".encode("johab"), False),  # too little of it to be sure
    ],
)
def test_johab_is_recognized_by_its_syllables(payload: bytes, is_taken: bool) -> None:
    assert (decode(payload).charset == "johab") is is_taken


def test_a_few_bad_bytes_do_not_overrule_a_declaration() -> None:
    payload = page("utf-8", RUSSIAN * 10, '<meta charset="utf-8">') + b"\xd0"
    decoded = decode(payload)
    assert (decoded.charset, decoded.source, decoded.num_replaced) == ("utf-8", "meta", 1)


def test_replacement_characters_of_the_page_itself_are_not_counted() -> None:
    assert decode("a\ufffdb".encode()) == Decoded("a\ufffdb", "utf-8", "utf8", 0, is_utf8=True)
    assert decode("a\ufffdb".encode() + b"\xff", "utf-8").num_replaced == 1


@pytest.mark.real
def test_all_333_real_pages_in_38_charsets_are_read_right(real_data: Path) -> None:
    with gzip.open(real_data / "truth/pages.jsonl.gz", "rt", encoding="utf-8") as file:
        truth = {d["url"]: d["charset"] for d in map(json.loads, file) if d["set"] == "charset"}
    right = []
    for path in sorted((real_data / "crawl").glob("part-*.warc.gz")):
        with path.open("rb") as file:
            for record in ArchiveIterator(file, record_types=WarcRecordType.response):
                charset = truth.get(record.headers["WARC-Target-URI"])
                if charset is not None:
                    payload = record.reader.read()
                    right.append(_is_same_text(decode(payload).text, payload.decode(_codec(charset), "replace")))
    assert (len(right), sum(right)) == (333, 333)


def _codec(folder: str) -> str:
    """Python's name of the charset that a folder of the test set is named after: "windows-1251-bulgarian"."""
    charset = re.sub("-(bulgarian|greek|hebrew|hungarian|russian|turkish)$", "", folder)
    return {"MacCyrillic": "mac-cyrillic", "README.txt": "ascii", "TIS-620": "cp874"}.get(charset, charset)


def _is_same_text(found: str, wanted: str) -> bool:
    """Equal except for 2 % of the characters beyond ASCII: supersets read a few signs differently."""
    a, b = (Counter(c for c in text if c > "\x7f" and c not in "\ufffd\ufeff") for text in (found, wanted))
    return (a & b).total() >= 0.98 * max(a.total(), b.total())


TEXTS = {
    "Russian": RUSSIAN * 5,
    "Chinese": "河边的老磨坊建于桥梁完工的那一年，磨坊主仔细记录了每一袋粮食。" * 5,
    "Arabic": "بنيت الطاحونة القديمة على ضفة النهر في السنة التي اكتمل فيها الجسر. " * 5,
    "Greek": "Ο παλιός μύλος δίπλα στο ποτάμι χτίστηκε τη χρονιά που τελείωσε η γέφυρα. " * 5,
    "English": "The old mill by the river was built when the bridge was finished. " * 5,
    "Japanese": "川のそばの古い水車小屋は、橋が完成した年に建てられました。" * 5,
    "Korean": "강가의 오래된 방앗간은 다리가 완공된 해에 지어졌습니다. " * 5,
    "Hebrew": "הטחנה הישנה ליד הנהר נבנתה בשנה שבה הושלם הגשר. " * 5,
    "Hindi": "नदी के किनारे पुरानी चक्की उस वर्ष बनाई गई थी जब पुल पूरा हुआ था। " * 5,
    "Thai": "โรงสีเก่าริมแม่น้ำสร้างขึ้นในปีที่สะพานเสร็จสมบูรณ์ " * 5,
}


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_utf_16_and_32_are_read_with_and_without_mark_and_declaration(charset: str, language: str) -> None:
    text = TEXTS[language]
    mark = "\ufeff".encode(charset)
    family = charset[:6]
    for content in (f"<html><head><meta charset={family}></head><p>{text}", f"<p>{text}</p>"):
        for payload in (content.encode(charset), mark + content.encode(charset)):
            for http in (None, "utf-8", family, charset[:6] + charset[7:]):
                assert decode(payload, http).text == content
                assert decode(payload[:-1], http).text in (content[:-1], content[:-1] + "\ufffd")  # cut
    if family == "utf-16":  # text without markup is read as declared
        declared = "utf-16le" if charset == "utf-16-le" else "utf-16be"
        assert decode(text.encode(charset), declared).text == text


def test_a_charset_of_two_bytes_that_is_not_true_is_not_believed() -> None:
    for label in ("utf-16", "utf-16be", "utf-32"):
        assert decode(page("utf-8", RUSSIAN, ""), label).charset == "utf-8"
        assert decode(page("gbk", CHINESE * 5, "<meta charset=gbk>"), label).charset == "gb18030"
        assert decode(b"plain words", label).text == "plain words"


@pytest.mark.parametrize(
    "payload", [b"\0\0<p>a\0b</p>\0", b"<p>a\0b</p>", b"\xef\xbb\xbf<p>a\0b</p>", b"<p>a\0b</p>\x93"]
)
def test_a_zero_is_never_kept_as_text(payload: bytes) -> None:
    assert decode(payload).text.startswith("<p>ab</p>")
    assert "\0" not in decode(payload, "windows-1252").text


@pytest.mark.parametrize("label", ["gbk", "gb2312", "gb18030", None])
def test_the_euro_sign_of_gbk_is_the_byte_80(label: str | None) -> None:
    payload = page("gbk", CHINESE * 5 + "@ 100", "").replace(b"@", b"\x80") + b"\xff"
    decoded = decode(payload, label)
    assert (decoded.charset, decoded.num_replaced) == ("gb18030", 1)
    assert CHINESE + "€ 100</p>" in decoded.text


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("gb18030", CHINESE),
        ("big5hkscs", "河邊的老磨坊建於橋樑完工的那一年，"),
        ("cp932", "川のそばの古い水車小屋は、橋が完成した年に建てられました。"),
        ("euc_jp", "川のそばの古い水車小屋は、橋が完成した年に建てられました。"),
        ("cp949", "강가의 오래된 방앗간은 다리가 완공된 해에 지어졌습니다."),
    ],
)
@pytest.mark.parametrize("bad", [b"\xff", b"\x81<i>", b"\x80 "])
def test_a_few_bad_bytes_cost_no_other_character(charset: str, text: str, bad: bytes) -> None:
    payload = page(charset, text * 6 + "\n" + text, "").replace(b"\n", b" " + bad + b" ")
    for label in (charset.replace("hkscs", ""), None):
        decoded = decode(payload, label)
        assert decoded.charset == charset
        assert decoded.text.count(text) == 7
        assert ("<i>" in decoded.text) is (b"<i>" in bad)


@pytest.mark.parametrize("label", [None, "utf-8", "iso-8859-1", "windows-1251", "gbk"])
@pytest.mark.parametrize("language", TEXTS)
def test_bytes_of_windows_1252_in_utf_8_are_read_as_such(language: str, label: str | None) -> None:
    text = TEXTS[language] + "© déjà ’vu’"
    payload = page("utf-8", text + "@", "").replace(b"@", b" na\xefve, \x93so\x94 \x96 10 \x80")
    decoded = decode(payload, label)
    assert (decoded.charset, decoded.num_replaced) == ("utf-8", 0)
    assert decoded.text == page("utf-8", text + " naïve, “so” – 10 €", "").decode()


def test_zero_bytes_in_the_text_do_not_make_a_wide_charset() -> None:
    page = b"<html><body>" + b"".join(bytes([c, 0]) for c in b"some text" * 50)
    assert decode(page, "utf-8").charset == "utf-8"
    assert decode("<html><body>some text".encode("utf-16-le"), "utf-8").charset == "utf-16-le"
