"""Decodes the bytes of a page, and states the charset, its source and the number of bytes that were not of it.

    byte-order mark ─▶ zeros of UTF-16 or 32 ─▶ HTTP header ─▶ <meta> or <?xml?> in the first 4,096 bytes
        ─▶ UTF-8 if valid, or almost ─▶ detector

Labels follow the Encoding Standard (https://encoding.spec.whatwg.org): "gb2312" is read as gb18030, "iso-8859-1" as
windows-1252. These rules differ from a browser's, since nobody repairs a crawled page by hand:

* Valid UTF-8 that is not plain ASCII wins over a declared single-byte charset, and over any charset with errors.
  UTF-8 with a few bytes of windows-1252 does so, too; they are read as such (`cleaners.crawl.patched_utf8`).
* A declared charset that fits badly (more than 1 character in 100 replaced) is compared with the detected one.
* UTF-16 and UTF-32 are recognized without a mark. U+0000 in any other text is left out, as by a parser of HTML.
"""

import codecs
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from resiliparse.parse.encoding import detect_encoding

from cleaners.crawl import patched_utf8

Source = Literal["bom", "http", "meta", "utf8", "detector"]


@dataclass(frozen=True)
class Decoded:
    text: str
    charset: str  # name of the Python codec that was used
    source: Source  # what named the charset; "utf8": the bytes are UTF-8
    num_replaced: int  # U+FFFD in place of bytes that are not of the charset
    is_utf8: bool = False  # the payload is the text in UTF-8, byte for byte


_BOMS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# From Python's codec (`codecs.lookup(…).name`) to the one that the Encoding Standard uses for the label.
_SUPERSETS = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "cp950": "big5hkscs",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "utf-16": "utf-16-le",
    "utf-32": "utf-32-le",
    "utf-8-sig": "utf-8",
}
# Labels of the standard, and common misspellings, that Python does not know.
_LABELS = {
    "cn-big5": "big5hkscs",
    "csunicode": "utf-16-le",
    "dos-874": "cp874",
    "gb_2312-80": "gb18030",
    "iso-10646-ucs-2": "utf-16-le",
    "iso-8859-8-e": "iso8859-8",
    "iso-8859-8-i": "iso8859-8",
    "koi8-ru": "koi8-u",
    "logical": "iso8859-8",
    "sun_eu_greek": "iso8859-7",
    "ucs-2": "utf-16-le",
    "unicode": "utf-16-le",
    "unicode-1-1-utf-8": "utf-8",
    "unicode11utf8": "utf-8",
    "unicode20utf8": "utf-8",
    "utf-8859-1": "utf-8",
    "utf8mb4": "utf-8",
    "visual": "iso8859-8",
    "windows-31j": "cp932",
    "windows-874": "cp874",
    "windows-936": "gb18030",
    "windows-949": "cp949",
    "windows-950": "big5hkscs",
    "x-cp1250": "cp1250",
    "x-cp1251": "cp1251",
    "x-cp1252": "cp1252",
    "x-euc": "euc_jp",
    "x-euc-jp": "euc_jp",
    "x-gbk": "gb18030",
    "x-mac-cyrillic": "mac-cyrillic",
    "x-mac-roman": "mac-roman",
    "x-mac-ukrainian": "mac-cyrillic",
    "x-sjis": "cp932",
    "x-user-defined": "cp1252",  # the standard's own meaning of it has no use in text
    "x-windows-874": "cp874",
    "x-windows-949": "cp949",
    "x-x-big5": "big5hkscs",
}
_WIDE = {"utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"}
_MULTI_BYTE = {"gb18030", "big5hkscs", "cp932", "cp949", "euc_jp", "johab", "hz"}
# Python codecs that are not charsets of pages. The Encoding Standard refuses utf-7 because it can hide markup.
_REFUSED = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}

# The detector does not know MacRoman and Johab, two charsets of the test set. Both are tried where it names one of
# these Latin charsets.
_LATIN = {"cp1250", "cp1252", "cp1254", "cp1257", "iso8859-2", "iso8859-3", "iso8859-4", "iso8859-15", "iso8859-16"}

_META = re.compile(rb"""<meta\b[^>]*?\bcharset\s*=\s*["']?\s*([^\s"'/>;]+)""", re.IGNORECASE)
_XML = re.compile(rb"""^\s*<\?xml\b[^>]*?\bencoding\s*=\s*["']\s*([^\s"'>]+)""", re.IGNORECASE)
_COMMENT = re.compile(rb"<!--.*?(?:-->|$)", re.DOTALL)
_BEGINS_NARROW = re.compile(rb"\s*<[!?/a-zA-Z]")  # markup in a charset in which ASCII takes a byte
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")
_SAMPLE = 4096
_APOSTROPHE = re.compile(rb"[a-z]\xd5[a-z]")  # in MacRoman
_ASCII_BYTES = re.compile(rb"[\0-\x7f]+")
_ASCII = re.compile("[\0-\x7f]+")


def decode(payload: bytes, http_charset: str | None = None) -> Decoded:
    """The text of `payload`, without U+0000; never raises. `http_charset` is the label of the Content-Type header."""
    decoded = _decode(payload, http_charset)
    return replace(decoded, text=decoded.text.replace("\0", ""), is_utf8=False) if 0 in payload else decoded


def _decode(payload: bytes, http_charset: str | None) -> Decoded:
    for mark, charset in _BOMS:
        if payload.startswith(mark):
            content = payload[len(mark) :]
            decoded = _decoded(content, charset, "bom")
            is_patchable = charset == "utf-8" and decoded.num_replaced > 0
            return (_patched(content, "bom") if is_patchable else None) or decoded
    if (wide := _wide(payload)) is not None:
        return wide

    valid = _utf8(payload)
    declared = _declared(payload, http_charset)
    if declared is None:
        if valid is not None and not _is_iso2022(payload):
            return Decoded(valid, "utf-8", "utf8", 0, is_utf8=True)
        return _patched(payload, "utf8") or _decoded(payload, _detect(payload), "detector")

    charset, source = declared
    if charset == "utf-8" and valid is not None:
        return Decoded(valid, charset, source, 0, is_utf8=True)
    if charset == "utf-8" and (patched := _patched(payload, source)) is not None:
        return patched
    decoded = _decoded(payload, charset, source)
    if not payload.isascii() and _is_doubtful(decoded):
        if valid is not None:
            return Decoded(valid, "utf-8", "utf8", 0, is_utf8=True)
        if (patched := _patched(payload, "utf8")) is not None:
            return patched
    if decoded.num_replaced * 100 > len(decoded.text):
        detected = _decoded(payload, _detect(payload), "detector")
        if detected.num_replaced < decoded.num_replaced:
            return detected
    return decoded


def _is_doubtful(decoded: Decoded) -> bool:
    """Whether UTF-8 is more likely: a single-byte charset accepts all bytes, so that it fits is no evidence."""
    return decoded.num_replaced > 0 or decoded.charset not in _MULTI_BYTE | _WIDE


@lru_cache(1024)
def codec_of(label: str) -> str | None:
    """The Python codec for a label as pages write it; None if it names no charset."""
    if len(label) > 64:
        return None
    label = label.strip(" \t\r\n\f\"'").lower()
    if label in _LABELS:
        return _LABELS[label]
    try:
        codec = codecs.lookup(label)
    except (LookupError, ValueError):
        return None
    if not codec._is_text_encoding or codec.name in _REFUSED:
        return None
    return _SUPERSETS.get(codec.name, codec.name)


def _declared(payload: bytes, http_charset: str | None) -> tuple[str, Source] | None:
    if http_charset and (charset := codec_of(http_charset)):
        # Text of UTF-16 that is valid UTF-8 has control characters: the upper bytes of its letters.
        is_untrue = charset in _WIDE and (_BEGINS_NARROW.match(payload) or not _CONTROL.search(payload))
        if not is_untrue:
            return charset, "http"
    head = _COMMENT.sub(b"", payload[:4096])
    match = _META.search(head) or _XML.search(head)
    if match and (charset := codec_of(match[1].decode("latin-1"))):
        # A declaration that can be read as ASCII is not in a page of UTF-16.
        return ("utf-8" if charset in _WIDE else charset), "meta"
    return None


def _decoded(payload: bytes, charset: str, source: Source) -> Decoded:
    text = payload.decode(charset, "replace")
    if charset == "gb18030" and 0x80 in payload and 0 < 20 * text.count("\ufffd") <= len(text):
        text = payload.decode(charset, "gb18030_euro")  # slow where much is wrong, and the charset with it
    # U+FFFD that the page itself contains is not counted; only Unicode charsets can encode it.
    own = payload.count("\ufffd".encode(charset)) if charset.startswith(("utf", "gb18030")) else 0
    return Decoded(text, charset, source, max(0, text.count("\ufffd") - own))


def _euro(error: UnicodeError) -> tuple[str, int]:
    """The byte 80, which is the euro sign in the Encoding Standard's GBK, and an error in Python's."""
    assert isinstance(error, UnicodeDecodeError)
    first = error.object[error.start]
    return ("€" if first == 0x80 else "\ufffd", error.start + 1 if first == 0x80 else error.end)


codecs.register_error("gb18030_euro", _euro)


def _utf8(payload: bytes) -> str | None:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None


def _patched(payload: bytes, source: Source) -> Decoded | None:
    patched = patched_utf8.decode(payload)
    return None if patched is None else Decoded(patched[0], "utf-8", source, patched[1])


def _wide(payload: bytes) -> Decoded | None:
    """UTF-16 or UTF-32 without a mark, recognized by the positions of the zero bytes of ASCII characters."""
    head = payload[:_SAMPLE]
    if 0 not in head or _BEGINS_NARROW.match(head):
        return None
    zeros, quarter = [head[i::4].count(0) for i in range(4)], len(head) // 4
    for charset, highest, second in (("utf-32-le", 3, 2), ("utf-32-be", 0, 1)):
        if zeros[highest] >= quarter > 0 and 10 * zeros[second] >= 9 * quarter:
            return _decoded(payload, charset, "detector")
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    for charset, upper, lower, first in (("utf-16-le", odd, even, head[1:4:2]), ("utf-16-be", even, odd, head[0:4:2])):
        # At least a fiftieth of the characters of a page is ASCII, the first two most often. The lower byte is zero in
        # "一" and a few others.
        if 100 * upper >= len(head) and (upper >= 3 * lower or first == b"\0\0"):
            decoded = _decoded(payload, charset, "detector")
            if decoded.num_replaced * 100 <= len(decoded.text):
                return decoded
    return None


def _is_iso2022(payload: bytes) -> bool:
    return b"\x1b$" in payload and payload.isascii()


def _detect(payload: bytes) -> str:
    # With the names of the Encoding Standard, IBM855, IBM866 and MacCyrillic are lost: 267 of 333 test pages are right,
    # and not 329.
    label = detect_encoding(payload, html5_compatible=False)
    charset = (codec_of(label) if label else None) or "cp1252"
    if charset in _LATIN:
        return "mac-roman" if _is_mac_roman(payload) else "johab" if _is_johab(payload) else charset
    return charset


def _is_mac_roman(payload: bytes) -> bool:
    """Whether all bytes beyond ASCII are MacRoman's curly quotes, one of them an apostrophe within a word.

    In other charsets these bytes are capital letters, which do not occur between small ones.
    """
    return _APOSTROPHE.search(payload) is not None and not _ASCII_BYTES.sub(b"", payload).strip(b"\xd2\xd3\xd4\xd5")


def _is_johab(payload: bytes) -> bool:
    """Whether it is valid Johab, and two in three of its characters beyond ASCII are Hangul.

    Half of all pairs of such bytes are not a syllable, so 32 syllables are not chance.
    """
    try:
        text = payload.decode("johab")
    except UnicodeDecodeError:
        return False
    beyond = _ASCII.sub("", text)
    return len(beyond) >= 32 and 3 * sum("\uac00" <= c <= "\ud7a3" for c in beyond) >= 2 * len(beyond)
