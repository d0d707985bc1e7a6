"""Where sentences end, in all scripts: the marks, and a count that needs no model.

A sentence ends after a full-width or other mark of its own script wherever that stands ("。", "।"), and after one of
. ! ? … where white space follows (closing quotes and brackets may stand between) and what comes then is no lower-case
letter. A full stop after a single capital is an initial: "J. S. Bach" ends nothing; "Dr. Smith" is taken for an end.
Only what holds a letter, a number or an ideograph is a sentence. What is left at the end of a line is one, too.
"""

import numpy as np

from shards.compiled import kernel
from shards.unicode import IDEOGRAPH, LETTER, MARK, NUMBER, PUNCTUATION, SPACE, decode

# Unicode's property Sentence_Terminal in the Basic Multilingual Plane, and the Khmer signs.
SENTENCE_ENDS = "!.?։؝؞؟۔܀܁܂߹࠷࠹࠽࠾।॥၊။።፧፨᙮᜵᜶។៕៖៙៚᠃᠉᥄᥅᪨᪩᪪᪫᭚᭛᭞᭟᭽᭾᰻᰼᱾᱿‼‽⁇⁈⁉⸮⸼⹓⹔。꓿꘎꘏꛳꛷꡶꡷꣎꣏꤯꧈꧉꩝꩞꩟꫰꫱꯫﹒﹖﹗！．？｡"
_WIDE_ENDS = np.array([ord(c) for c in SENTENCE_ENDS if not c.isascii()], np.uint32)
_CLOSERS = np.array([ord(c) for c in "\"')]}’”»」』）】》〉"], np.uint32)


@kernel
def count_sentences(data, start, end, classes, lowercase):
    """Sentences of the line data[start:end]; the tables are those of `shards.unicode`."""
    n = 0
    open_ = False  # the sentence holds a letter, a number or an ideograph
    ending, spaced = False, False  # a mark was met, and white space after it
    previous, before = np.uint32(0x20), np.uint32(0x20)
    i = start
    while i < end:
        c, i = decode(data, i)
        kind = classes[c]
        inside = kind in (LETTER, NUMBER, IDEOGRAPH)
        if kind == PUNCTUATION and c > 0x7F and _is_in(c, _WIDE_ENDS):
            n += open_
            open_, ending, spaced = False, False, False
        elif c == 0x2E or c == 0x21 or c == 0x3F or c == 0x2026:
            if spaced:
                n += open_
                open_ = False
            ending = not (c == 0x2E and lowercase[previous] != previous and not _in_word(before, classes))
            spaced = False
        elif kind == SPACE:
            spaced = ending
        elif not (ending and not spaced and _is_in(c, _CLOSERS)):
            if spaced and not (kind == LETTER and _is_lower(c, lowercase)):
                n += open_
                open_ = False
            ending, spaced = False, False
        open_ |= inside
        before, previous = previous, c
    return n + open_


@kernel(inline="always")
def _is_in(c, characters):
    found = False
    for other in characters:
        found |= c == other
    return found


@kernel(inline="always")
def _in_word(c, classes):
    return classes[c] in (LETTER, NUMBER, MARK, IDEOGRAPH)


@kernel(inline="always")
def _is_lower(c, lowercase):
    """Of Latin, Greek, Cyrillic and Armenian, whose letters have case; elsewhere a sentence may begin with any."""
    return lowercase[c] == c and (c < 0x590 or 0x1E00 <= c < 0x2000)
