r"""Finds the head of an HTTP message, whatever its lines end in.

    CR LF  ·  LF  ·  CR CR LF (an archive that went through a text mode of Windows)  ·  LF CR  ·  CR

A message may begin with blank lines (RFC 9112, section 2.2) and with the heads of interim responses (RFC 9110, section
15.2). A head without a blank line ends before a line that begins with "<", which no field does.
"""

import re

_INTERIM = rb"(?:HTTP/\S+ 1\d\d(?!\d)[^\r\n]*\r*\n(?:[^\r\n]+\r*\n)*\r*\n(?=HTTP/))"
_BEGIN = re.compile(rb"[\r\n]*" + _INTERIM + rb"*(?=HTTP|ICY )")  # radio stations say "ICY 200 OK"
_END = re.compile(rb"\n(?:\r*\n|(?=<))")
_FIRST_LINE_OF_CR = re.compile(rb"[^\r\n]*\r(?!\r*\n)")
_END_OF_CR = re.compile(rb"\r(?:\r|(?=<))")
_FIRST_LINE_OF_LF_CR = re.compile(rb"[^\r\n]*\n\r[^\r\n]")
_LINE_END = re.compile(rb"\r*\n\r?(?!\n)|\r*\n|\r")


def split(content: bytes) -> tuple[bytes, int]:
    """(head with lines that end in CR LF, index of the body); b"" and 0 where there is no head (HTTP/0.9)."""
    begin = _BEGIN.match(content)
    if begin is None:
        return b"", 0
    start = begin.end()
    is_cr = _FIRST_LINE_OF_CR.match(content, start) is not None
    found = (_END_OF_CR if is_cr else _END).search(content, start)
    end = len(content) if found is None else found.end()
    head = content[start:end]
    if not head.count(b"\r\n") == head.count(b"\n") == head.count(b"\r"):
        head = _LINE_END.sub(b"\r\n", head)  # fastwarc splits at CR LF alone
    if content[end : end + 1] == b"\r" and _FIRST_LINE_OF_LF_CR.match(content, start):
        end += 1
    return head, end
