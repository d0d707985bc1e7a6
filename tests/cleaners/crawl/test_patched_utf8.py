"""UTF-8 with bytes of windows-1252 is told from pages of other charsets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaners.crawl.patched_utf8 import decode


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ("naïve ".encode() + b"\x93so\x94 \x85", "naïve “so” …"),
        ("©".encode() + b"\x92" * 9, "©" + "’" * 9),  # only signs are not valid
        ("ещё ".encode() + b"na\xefve", "ещё naïve"),
        ("ещё ".encode() + b"\xd0 x", "ещё \ufffd x"),  # a character that was cut
        ("ещё".encode() + b"\xd1", "ещё\ufffd"),
        ("papierosów ".encode() + b"papieros\xc3...", "papierosów papieros\ufffd..."),
        ("“ещё”".encode() + b"\xe2\x80 x", "“ещё”\ufffd x"),
        ("“ещё” один".encode() + b"\xcf\xf0\xe8\xe2\xe5\xf2", "“ещё” один\ufffd"),  # windows-1251
        ("ещё ".encode() + b"\x81\xff", "ещё \ufffd"),
        ("\ufffd ещё ".encode() + b"\x93", "\ufffd ещё “"),
    ],
)
def test_bytes_are_patched_where_they_are_text(payload: bytes, text: str) -> None:
    found = decode(payload)
    assert found is not None
    assert found[0] == text
    assert found[1] == text.count("\ufffd") - payload.count("\ufffd".encode())


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"ascii",
        b"caf\xe9 \x93so\x94",
        "Привет, мир".encode("cp1251"),
        "Привет, мир".encode("koi8-r"),
        "天地玄黄，宇宙洪荒。".encode("gbk"),
        "橋が完成した年に建てられました。".encode("euc_jp"),
        "강가의 오래된".encode("euc_kr"),
        "ein Müller in der Mühle für Käse".encode("latin-1"),
    ],
)
def test_other_charsets_are_not_patched(payload: bytes) -> None:
    assert decode(payload) is None


@given(st.binary(max_size=100))
def test_it_never_raises_and_counts_what_it_replaced(payload: bytes) -> None:
    found = decode(payload)
    assert found is None or found[0].count("\ufffd") >= found[1] >= 0
