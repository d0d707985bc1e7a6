"""Character references: "&amp;", "&eacute", "&#8212;" (the HTML standard, 13.2.5.72). They are decoded when text is
written.

Text is at most a fifth longer than its source: "&nGt;" and "&nLt;" are five bytes and stand for six; no other reference
grows.
"""

from html.entities import html5

import numpy as np

from shards.compiled import kernel

_SLOTS = 8192
_MIX = np.uint64(0x100000001B3)
_SEED = np.uint64(0xCBF29CE484222325)
_MAX_NAME = max(map(len, html5))
_MAX_OPEN_NAME = max(len(name) for name in html5 if not name.endswith(";"))

AMPERSAND, NUMBER_SIGN, SEMICOLON, EQUALS = (ord(c) for c in "&#;=")


def _hash(name: str) -> int:
    value = int(_SEED)
    for byte in name.encode():
        value = (value ^ byte) * int(_MIX) & (1 << 64) - 1
    return value >> 40


def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(slots of numbers + 1, names, their offsets, values, their offsets) of all named references."""
    slots = np.zeros(_SLOTS, np.int16)
    names, values = sorted(html5), [html5[name].encode() for name in sorted(html5)]
    assert all(5 * len(value) <= 6 * (1 + len(name)) for name, value in zip(names, values, strict=True))
    for number, name in enumerate(names, 1):
        slot = _hash(name) % _SLOTS
        while slots[slot]:
            slot = (slot + 1) % _SLOTS
        slots[slot] = number
    encoded = [name.encode() for name in names]
    return slots, *_joined(encoded), *_joined(values)


def _joined(parts: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.zeros(len(parts) + 1, np.int32)
    np.cumsum([len(part) for part in parts], out=offsets[1:])
    return np.frombuffer(b"".join(parts), np.uint8), offsets


_NUMBERS, _NAMES, _NAME_OFFSETS, _VALUES, _VALUE_OFFSETS = _tables()
# Numbers from 0x80 to 0x9F mean characters of windows-1252, where that has one.
_WINDOWS = np.array(
    [ord(bytes([c]).decode("cp1252", "ignore") or chr(c)) for c in range(0x80, 0xA0)],
    np.uint32,
)


@kernel
def write_reference(data, i, end, in_attribute, out, at):
    """Decode the reference at the "&" of data[i:end] into out[at:]; return (position after it, new `at`).

    An "&" that begins no reference is written alone; the rest is left to the caller. In the value of an attribute a
    name without its ";" is no reference if "=", a letter or a digit follows it.
    """
    if i + 1 < end and data[i + 1] == NUMBER_SIGN:
        return _write_number(data, i, end, out, at)
    start = i + 1
    stop = start
    while stop < min(end, start + _MAX_NAME) and _is_alphanumeric(data[stop]):
        stop += 1
    if stop < end and stop > start and data[stop] == SEMICOLON:
        number = _number_of(data, start, stop + 1)
        if number:
            return stop + 1, _write_value(number, out, at)
    for after in range(min(stop, start + _MAX_OPEN_NAME), start + 1, -1):
        number = _number_of(data, start, after)
        if number:
            if in_attribute and after < end and (data[after] == EQUALS or _is_alphanumeric(data[after])):
                break
            return after, _write_value(number, out, at)
    out[at] = AMPERSAND
    return start, at + 1


@kernel
def _is_alphanumeric(c):
    return 48 <= c <= 57 or 97 <= (c | 32) <= 122


@kernel
def _number_of(data, start, end):
    value = _SEED
    for k in range(start, end):
        value = (value ^ np.uint64(data[k])) * _MIX
    slot = np.intp(value >> np.uint64(40)) % _SLOTS
    while _NUMBERS[slot] != 0:
        number = np.intp(_NUMBERS[slot])
        first = _NAME_OFFSETS[number - 1]
        if _NAME_OFFSETS[number] - first == end - start:
            same = True
            for k in range(end - start):
                same &= _NAMES[first + k] == data[start + k]
            if same:
                return number
        slot = (slot + 1) % _SLOTS
    return 0


@kernel
def _write_value(number, out, at):
    for k in range(_VALUE_OFFSETS[number - 1], _VALUE_OFFSETS[number]):
        out[at] = _VALUES[k]
        at += 1
    return at


@kernel
def _write_number(data, i, end, out, at):
    k = i + 2
    is_hex = k < end and (data[k] | 32) == 120
    if is_hex:
        k += 1
    code, first = 0, k
    while k < end:
        digit = _digit(data[k])
        if digit < 0 or (digit > 9 and not is_hex):
            break
        code = min(code * (16 if is_hex else 10) + digit, 0x110000)
        k += 1
    if k == first:
        out[at] = AMPERSAND
        return i + 1, at + 1
    if k < end and data[k] == SEMICOLON:
        k += 1
    if 0x80 <= code < 0xA0:
        code = int(_WINDOWS[code - 0x80])
    elif code == 0 or code > 0x10FFFF or 0xD800 <= code < 0xE000:
        code = 0xFFFD
    return k, write_character(code, out, at)


@kernel
def _digit(c):
    if 48 <= c <= 57:
        return np.intp(c) - 48
    return np.intp(c | 32) - 87 if 97 <= (c | 32) <= 102 else -1


@kernel
def write_character(code, out, at):
    """Write a code point to out[at:] as UTF-8; return the new `at`."""
    if code < 0x80:
        out[at] = code
        return at + 1
    if code < 0x800:
        out[at] = 0xC0 | code >> 6
        out[at + 1] = 0x80 | code & 63
        return at + 2
    if code < 0x10000:
        out[at] = 0xE0 | code >> 12
        out[at + 1] = 0x80 | code >> 6 & 63
        out[at + 2] = 0x80 | code & 63
        return at + 3
    out[at] = 0xF0 | code >> 18
    out[at + 1] = 0x80 | code >> 12 & 63
    out[at + 2] = 0x80 | code >> 6 & 63
    out[at + 3] = 0x80 | code & 63
    return at + 4
