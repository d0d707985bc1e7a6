"""Marks for raised and lowered text, where without one it would read as another number or word.

    10<sup>6</sup>, e<sup>-x</sup>      10^6, e^(-x)      a power of a number or of a symbol
    3<sup>1</sup>⁄<sub>2</sub>          3 1⁄2             a fraction
    word<sup>3</sup>                    word[3]           a note, after a word or with a link of its own
    $19<sup>99</sup>, 8<sup>00</sup>    $19.99, 8:00      a price, a time
    x<sub>i</sub>, log<sub>2</sub>8     x_i, log_2 8      an index
    2<sup>nd</sup>, H<sub>2</sub>O      2nd, H2O          read well as they are

Two tables decide, by what stands before and by what is raised. They are rules of thumb: no page says what it means.
"""

import numpy as np

from cleaners.extraction.html.tokenizer import is_letter, is_space
from shards.compiled import kernel
from shards.unicode import decode

MAX_BYTES_ADDED = 4  # to the text of a raised or lowered element

# Marks, and what they add before the text and after it.
PLAIN, CARET, CARET_BRACKETS, NOTE, BLANK, POINT, COLON, LOW_LINE, LOW_LINE_BRACKETS, LOW_LINE_BLANK = range(10)
_AROUND = (
    ("", ""),
    ("^", ""),
    ("^(", ")"),
    ("[", "]"),
    (" ", ""),
    (".", ""),
    (":", ""),
    ("_", ""),
    ("_(", ")"),
    ("_", " "),
)
PREFIXES = np.array([list(prefix.ljust(2, "\0").encode()) for prefix, _ in _AROUND], np.uint8)  # 0 is none
SUFFIXES = np.array([ord(suffix or "\0") for _, suffix in _AROUND], np.uint8)

# What stands before: nothing or a blank; a digit; a symbol, as one or two small letters, one capital or a bracketed
# term; a chemical element, as all that has a capital; a longer word or an ideograph; anything else, as a full stop.
_NOTHING, _DIGIT, _SYMBOL, _ELEMENT, _WORD, _OTHER = range(6)
# What is raised: a number; one with a sign; several numbers (1,2 or 1–3); a letter; digits before a sign (2+); letters,
# digits and signs (n+1); anything else.
_NUMBER, _SIGNED, _NUMBERS, _LETTER, _CHARGE, _TERM, _WORDS = range(7)

_RAISED = """
              number signed numbers letter charge term words
    nothing     .      .      .       .      .     .     .
    digit       ^      ^      [       ^      ^     (     .
    symbol      ^      ^      [       ^      ^     (     .
    element     [      ^      [       .      ^     .     .
    word        [      ^      [       .      ^     .     .
    other       [      .      [       .      .     .     .
"""
_LOWERED = """
              number signed numbers letter charge term words
    nothing     .      .      .       .      .     .     .
    digit       _      _      .       _      .     -     .
    symbol      _      _      _       _      .     -     _
    element     .      _      _       _      .     -     _
    word        _      _      .       .      .     .     .
    other       .      .      .       .      .     .     .
"""
_MARKS = {".": PLAIN, "^": CARET, "(": CARET_BRACKETS, "[": NOTE, "_": LOW_LINE, "-": LOW_LINE_BRACKETS}


def _table(text: str) -> np.ndarray:
    return np.array([[_MARKS[mark] for mark in line.split()[1:]] for line in text.strip().splitlines()[1:]], np.int64)


_RAISED_MARKS, _LOWERED_MARKS = _table(_RAISED), _table(_LOWERED)
_ORDINALS = np.frombuffer(b"aeodhrstu", np.uint8)  # letters of ordinal numbers, degrees and hours: no powers
_MAX_TERM_BYTES, _MAX_BRACKETED_BYTES = 24, 40
_MAX_NUMBER_BYTES = 24  # of a number before raised text; of a longer one its end is read
_MIN_WORD_LETTERS = 3
_FIRST_YEAR, _LAST_YEAR, _HOURS = 1500, 2099, 24  # after a year, a note is likelier than a power
_PLUS, _MINUS, _DOT, _COMMA, _SLASH = map(ord, "+-.,/")
_SIGNS = np.array([ord(c) for c in "+-−–±*/="], np.uint32)
_DASH = ord("–")
_BRACKETS = (ord(")"), ord("]"))


@kernel
def mark_of(text, start, end, stop, is_raised, is_numerator, has_own_link):
    """The mark of the raised or lowered text[start:end] between text[:start] and the plain text[end:stop].

    It `is_numerator` if a slash and lowered text follow. It `has_own_link` if the link does not go on before it.
    """
    before = _before(text, start)
    while start < end and is_space(text[start]):
        start += 1
    while end > start and is_space(text[end - 1]):
        end -= 1
    if start == end:
        return PLAIN
    content = _content(text, start, end)
    digit_follows = end < stop and _is_digit(text[end])
    if not is_raised:
        if before == _SYMBOL and (_is_capital(text[start - 1]) or text[start - 1] in _BRACKETS):
            before = _ELEMENT  # H₂O, Ca₃(PO₄)₂
        if content == _NUMBER and before in (_SYMBOL, _ELEMENT, _WORD) and digit_follows:
            return LOW_LINE_BLANK
        return _LOWERED_MARKS[before, content]
    if content in (_NUMBER, _NUMBERS, _LETTER) and has_own_link and before != _NOTHING:
        return NOTE
    if before == _DIGIT and content == _NUMBER:
        mark = BLANK if is_numerator else _after_digits(text, start, end, stop)
    elif content == _LETTER and _is_abbreviated(before, text[start - 1]) and (text[start] == _ORDINALS).any():
        mark = PLAIN
    else:
        mark = _RAISED_MARKS[before, content]
    return CARET_BRACKETS if mark == CARET and digit_follows else mark


@kernel
def _is_abbreviated(before, last):
    """Whether a raised letter may belong to an abbreviation: 1ᵉʳ, Mᵉ, Nᵒ, Dʳ, but not xᵗ."""
    return before == _DIGIT or (before == _SYMBOL and _is_capital(last))


@kernel
def _after_digits(text, start, end, stop):
    """The mark of a raised number after a number: a price, a time, a note, or a power."""
    begin, number = start, 0
    while begin > max(0, start - _MAX_NUMBER_BYTES) and (
        _is_digit(text[begin - 1]) or text[begin - 1] in (_DOT, _COMMA)
    ):
        begin -= 1
    if begin > 1 and is_letter(text[begin - 1]) and is_letter(text[begin - 2]):
        return NOTE  # IP68¹
    for k in range(max(begin, start - 5), start):
        number = 10 * number + text[k] - 48
    if end - start == 2 and _is_digit(text[start]):
        is_zero = text[start] == 48 and text[start + 1] == 48
        if is_zero and start - begin <= 2 and number <= _HOURS:
            return COLON
        if is_zero or _is_currency_before(text, begin) or _is_currency_after(text, end, stop):
            return POINT
    return NOTE if start - begin == 4 and _FIRST_YEAR <= number <= _LAST_YEAR else CARET


@kernel
def _is_currency_before(text, at):
    if at > 0 and text[at - 1] == 32:
        at -= 1
    return at > 0 and _is_currency(decode(text, _previous(text, at))[0])


@kernel
def _is_currency_after(text, at, stop):
    if at < stop and text[at] == 32:
        at += 1
    return at < stop and _is_currency(decode(text, at)[0])


@kernel
def _is_currency(c):
    return c == 0x24 or 0xA2 <= c <= 0xA5 or 0x20A0 <= c <= 0x20CF


@kernel
def _previous(text, at):
    """Where the character before `at` begins."""
    at -= 1
    while at > 0 and text[at] & 0xC0 == 0x80:
        at -= 1
    return at


@kernel
def _before(text, at):
    """The kind of what stands before `at`."""
    if at == 0 or is_space(text[at - 1]):
        return _NOTHING
    c = text[at - 1]
    if _is_digit(c):
        return _DIGIT
    if c in _BRACKETS:
        return _SYMBOL if _is_term_in_brackets(text, at) else _OTHER
    letters, has_capital = 0, False
    while at > 0 and letters < _MIN_WORD_LETTERS:
        previous = _previous(text, at)
        c = decode(text, previous)[0]
        if _is_unspaced(c):
            letters = _MIN_WORD_LETTERS if letters == 0 else letters
            break
        if not _is_letter(c):
            break
        has_capital = has_capital or _is_capital(c)
        letters += 1
        at = previous
    if letters == 0:
        return _OTHER
    if has_capital and letters > 1:
        return _ELEMENT
    if letters >= _MIN_WORD_LETTERS:
        return _WORD
    return _SYMBOL


@kernel
def _is_term_in_brackets(text, end):
    """Whether text[:end] ends in brackets around a term, as (a+b), rather than around words or a number alone."""
    depth, run, signs = 0, 0, 0
    for k in range(end - 1, max(end - _MAX_BRACKETED_BYTES, -1), -1):
        c = text[k]
        depth += (c in _BRACKETS) - (c in (40, 91))
        if depth == 0:
            return signs > 0
        run = run + 1 if is_letter(c) else 0
        signs += is_letter(c) or c in (_PLUS, _MINUS, _SLASH) or c >= 128
        if run >= _MIN_WORD_LETTERS:
            return False
    return False


@kernel
def _content(text, start, end):
    """The kind of the raised or lowered text."""
    if end - start > _MAX_TERM_BYTES:
        return _WORDS
    digits = letters = signs = separators = others = run = longest_run = characters = 0
    first_is_sign = last_is_sign = False
    i = start
    while i < end:
        is_first = i == start
        c, i = decode(text, i)
        characters += 1
        is_sign = (c == _SIGNS).any()
        first_is_sign = first_is_sign or (is_first and is_sign)
        last_is_sign = is_sign
        run = run + 1 if _is_letter(c) else 0
        longest_run = max(longest_run, run)
        if 48 <= c <= 57:
            digits += 1
        elif _is_letter(c):
            letters += 1
        elif is_sign:
            signs += 1
            separators += c in (_MINUS, _DASH)
        elif c == _COMMA or c == 32:
            separators += 1
        elif c == _DOT and digits:
            characters -= 1
        elif c not in (40, 41):
            others += 1
    if others:
        return _WORDS
    if digits == characters and digits:
        return _NUMBER
    if first_is_sign and signs == 1 and digits == characters - 1 and digits:
        return _SIGNED
    if last_is_sign and signs == 1 and digits == characters - 1 and digits:
        return _CHARGE
    if digits and not letters and digits + separators == characters:
        return _NUMBERS
    if letters == 1 and characters == 1:
        return _LETTER
    if longest_run < _MIN_WORD_LETTERS and (signs or digits) and (letters or digits):
        return _TERM
    return _WORDS


@kernel
def _is_digit(c):
    return 48 <= c <= 57


@kernel
def _is_capital(c):
    return 65 <= c <= 90


@kernel
def _is_letter(c):
    """Whether a code point is a letter of a script that spaces its words, roughly."""
    return is_letter(c) if c < 128 else 0xC0 <= c < 0x2000 and c not in (0xD7, 0xF7)


@kernel
def _is_unspaced(c):
    """Whether a code point is an ideograph, kana or hangul."""
    return 0x3040 <= c < 0xD7A4 or 0xF900 <= c < 0xFB00 or 0x20000 <= c < 0x40000
