"""Line ends between wide characters: in Chinese and Japanese a line may end anywhere, and the end is no space.

    第一行⏎第二行  ──▶  第一行第二行        line⏎行  ──▶  line 行        한국⏎어  ──▶  한국 어

CSS Text, "Segment Break Transformation Rules", as Firefox follows it: a line end is removed if the East Asian Width
(Unicode Annex 11) of the characters on both sides is F, W or H, and none of them is Hangul. Quotation marks, ellipses
and dashes, which these scripts share with others, count as wide beside a wide character. Emoji and scripts of the past
count as narrow.
"""

from shards.compiled import kernel
from shards.unicode import decode


@kernel
def line_end_is_dropped(before, at, after, k):
    """Whether a line end is no space between the texts before[:at] and after[k:], which must not be empty."""
    if before[at - 1] < 0x80 or after[k] < 0xE2:
        return False
    start = at - 1
    while start > 0 and before[start] & 0xC0 == 0x80:
        start -= 1
    a, b = decode(before, start)[0], decode(after, k)[0]
    return (is_wide(a) and (is_wide(b) or _is_shared(b))) or (is_wide(b) and _is_shared(a))


@kernel
def is_wide(c):
    """Whether a code point is wide, full-width or half-width without being Hangul or an emoji."""
    if c < 0x2E80 or 0x3130 <= c < 0x3190 or c == 0x303F:
        return False
    if c < 0xA4D0:
        return not (0x3200 <= c < 0x321F or 0x3260 <= c < 0x3280 or 0x4DC0 <= c < 0x4E00)
    return (
        0xF900 <= c < 0xFB00
        or 0xFE30 <= c < 0xFE70
        or 0xFF01 <= c < 0xFFA0
        or 0xFFE0 <= c < 0xFFE7
        or 0x20000 <= c < 0x40000
    )


@kernel
def _is_shared(c):
    return 0x2014 <= c <= 0x2015 or 0x2018 <= c <= 0x201D or c == 0x2026
