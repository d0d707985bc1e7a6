"""Reads UTF-8 into which bytes of windows-1252 were pasted: curly quotes, dashes, a copyright sign, the é of a name.

    … caf C3 A9 , 93 so 94 , na EF ve, — D0 ▏cut …   ──▶   … café, “so”, naïve, — � …

A byte that begins characters elsewhere in the page is the rest of one that was cut, unless it stands between ASCII
letters, and stays unreadable. So do longer runs: they are of another charset.
"""

import re

_RUN = re.compile("[\\udc80-\\udcff]+")  # bytes that are no UTF-8, as "surrogateescape" stands for them
_ASCII = bytes(range(128))
_MIN_VALID_PER_BAD = 2  # bytes; at most 0.79 in 342 pages of other charsets (EUC-JP)
_SIGNS = b"\x80\x82\x84\x85\x8b\x91\x92\x93\x94\x95\x96\x97\x99\x9b"  # € ‚ „ … ‹ ‘ ’ “ ” • – — ™ ›


def decode(payload: bytes) -> tuple[str, int] | None:
    """(text, number of U+FFFD in place of bytes); None where the page is not UTF-8 for the most part.

    It is, where at least two bytes beyond ASCII are valid for each that is not, or where only signs are not.
    """
    num_beyond = len(payload.translate(None, _ASCII))
    num_valid = num_beyond - len(payload) + len(payload.decode("utf-8", "ignore").encode())
    num_bad = num_beyond - num_valid
    num_signs = len(payload) - len(payload.translate(None, _SIGNS))
    if num_valid < 2 or (num_valid < _MIN_VALID_PER_BAD * num_bad and num_signs < num_bad):
        return None
    text = payload.decode("utf-8", "surrogateescape")
    if num_valid < _MIN_VALID_PER_BAD * num_bad and _bytes("".join(_RUN.findall(text))).strip(_SIGNS):
        return None
    own = text.count("\ufffd")
    text = _RUN.sub(lambda run: _patched(run, payload), text)
    return text, text.count("\ufffd") - own


def _patched(run: re.Match[str], payload: bytes) -> str:
    data = _bytes(run[0])
    around = run.string[run.start() - 1 : run.start()] + run.string[run.end() : run.end() + 1]
    is_in_word = len(around) == 2 and around.isascii() and around.isalpha()
    is_cut = not is_in_word and data[0] >= 0xC2 and re.search(re.escape(data[:1]) + rb"[\x80-\xbf]", payload)
    if is_cut or (len(data) > 2 and max(data) >= 0xC0) or max(data) == 0xFF:
        return "\ufffd"
    return data.decode("cp1252", "replace")


def _bytes(run: str) -> bytes:
    return run.encode("utf-8", "surrogateescape")
