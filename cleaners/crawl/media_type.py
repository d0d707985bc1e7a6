"""The media type and the charset that a Content-Type header declares, as browsers read it.

    text/html;charset=utf-8  ·  TEXT/HTML,text/html; charset="utf-8"  ·  text/html, charset=utf-8   ──▶ text/html
    html  ·  "text/html"  ·  text/html charset=utf-8  ·  */*                                        ──▶ none: sniffed

Fetch standard, "extract a MIME type" (https://fetch.spec.whatwg.org/#concept-header-extract-mime-type), and MIME
Sniffing standard, "parsing a MIME type" (https://mimesniff.spec.whatwg.org/#parsing-a-mime-type).
"""

import re
from functools import lru_cache

# A token of HTTP that begins as names of media types do (RFC 6838, section 4.2), so that */* and 'text/html' are none.
_LONGEST = 4096  # characters: headers are kept, and some are a megabyte
_TOKEN = r"[0-9A-Za-z][!#$%&'*+\-.^_`|~0-9A-Za-z]*"
_VALUE = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+', re.DOTALL)  # up to a comma that is not quoted
_TYPE = re.compile(rf"[ \t\r\n]*({_TOKEN}/{_TOKEN})[ \t\r\n]*(?=;|$)")
_PARAMETER = re.compile(r""";[ \t\r\n]*([^;="]*)(?:=(?:"((?:[^"\\]|\\.)*)"?|([^;]*)))?""")
_MISPLACED_CHARSET = re.compile(r"""\bcharset\s*[=:]\s*["']?([^\s"';,]+)""", re.IGNORECASE)


def extract(header: str) -> tuple[str | None, str | None]:
    """(media type in lower case, label of the charset), None for what is not declared.

    `header` is the value of all Content-Type headers joined by commas. The last valid type counts. A charset that
    stands where no browser reads it is returned, too: it can only help. What follows the first 4,096 characters of a
    header is no media type.
    """
    return _extracted(header[:_LONGEST])


@lru_cache(4096)
def _extracted(header: str) -> tuple[str | None, str | None]:
    essence = charset = None
    is_declared = False
    for value in _VALUE.findall(header):
        found = _TYPE.match(value)
        if found is None:
            continue
        parameters = _PARAMETER.findall(value, found.end())
        labels = [(quoted or plain).strip() for name, quoted, plain in parameters if name.lower() == "charset"]
        label = next(filter(None, labels), None)
        is_declared |= label is not None
        essence, charset = found[1].lower(), label or (charset if found[1].lower() == essence else None)
    if not is_declared and (misplaced := _MISPLACED_CHARSET.search(header)):
        charset = misplaced[1]
    return essence, charset
