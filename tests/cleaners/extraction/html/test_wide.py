"""Which characters are wide, against Unicode's own table."""

import unicodedata

from cleaners.extraction.html.wide import is_wide


def test_wide_characters_are_those_of_unicode_without_hangul_and_emoji() -> None:
    named = (
        (chr(c), is_wide(c)) for c in range(0x2E80, 0xFFE7) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")
    )
    wide = {(c, is_ours): unicodedata.east_asian_width(c) in "FWH" for c, is_ours in named}
    differing = {c for (c, is_ours), is_theirs in wide.items() if is_ours != (is_theirs and not is_hangul(c))}
    # Marks of Korean in brackets, numbers in squares, and punctuation of vertical lines.
    assert differing <= {*map(chr, [*range(0x302E, 0x3030), *range(0x321D, 0x3280), *range(0xFE10, 0xFE1A)])}
    assert all(is_wide(ord(c)) for c in "中かカㄅ、。「」！ａ１ｱ々〇\u3000𠀀")
    assert not any(is_wide(ord(c)) for c in "aäя한ㅎ“…·😀①½")


def is_hangul(c: str) -> bool:
    return "HANGUL" in unicodedata.name(c, "")
