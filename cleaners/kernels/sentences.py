"""Ends of sentences in all scripts: the marks, and a count that needs no model.

A full-width mark, or one of another script ("。", "।"), ends a sentence anywhere. One of . ! ? … ends it where white
space follows, perhaps after closing quotes and brackets, and then anything but a lower-case letter. A full stop after a
single capital is an initial: "J. S. Bach" has no end in it, and "Dr. Smith" wrongly has one. A sentence contains a
letter, a number or an ideograph. The rest of a line after its last end is a sentence, too.
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
    open_ = False  # the sentence contains a letter, a number or an ideograph
    ending, spaced = False, False  # after a mark; after white space that follows a mark
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
    is_in = False
    for other in characters:
        is_in |= c == other
    return is_in


@kernel(inline="always")
def _in_word(c, classes):
    return classes[c] in (LETTER, NUMBER, MARK, IDEOGRAPH)


@kernel(inline="always")
def _is_lower(c, lowercase):
    """Whether `c` is lower case in Latin, Greek, Cyrillic or Armenian, where a sentence begins with a capital."""
    return lowercase[c] == c and (c < 0x590 or 0x1E00 <= c < 0x2000)
