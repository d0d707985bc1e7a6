"""Mutations of inputs: what disks, lines and ill will do to bytes."""

from collections.abc import Sequence
from random import Random

# Bytes with a meaning in some format: ends, lengths, magic numbers, brackets.
_TOKENS = (
    b"\0", b"\xff", b"\r\n", b"\n\n", b"\x1f\x8b\x08", b"WARC/1.0\r\n", b"Content-Length: ", b"99999999999", b"-1",
    b"<", b">", b"</", b"<!--", b"&#x110000;", b"<table>", b"<script>", b"]]>", b"{", b"[", b'"', b"\\ud800", b"1e999",
    b"[[stage]]\n", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\x28\xb5\x2f\xfd", b"\x7f\xff\xff\xff",
)  # fmt: skip


def mutated(data: bytes, others: Sequence[bytes], draw: Random) -> bytes:
    """`data` with one to four changes; `others` are inputs from which parts are taken."""
    changed = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(changed) + 1)
        length = min(draw.choice((1, 2, 4, 16, 256)), len(changed) - at)
        match draw.randrange(8):
            case 0 if changed:
                changed[min(at, len(changed) - 1)] ^= 1 << draw.randrange(8)
            case 1:
                changed[at : at + length] = draw.randbytes(length)
            case 2:
                del changed[at : at + length]
            case 3:
                changed[at:at] = changed[at : at + length] * draw.choice((1, 2, 50))
            case 4:
                changed[at:at] = draw.choice(_TOKENS)
            case 5:
                changed[at : at + length] = draw.choice(_TOKENS)
            case 6:
                del changed[at:]
            case _:
                other = draw.choice(others)
                begin = draw.randrange(len(other) + 1)
                changed[at:at] = other[begin : begin + draw.randrange(1, 300)]
    return bytes(changed)
