"""ARC, the format of the Internet Archive before WARC (https://archive.org/web/researcher/ArcFileFormat.php).

    v1   URL IP-address Archive-date Content-type Archive-length
    v2   URL IP-address Archive-date Content-type Result-code Checksum Location Offset Filename Archive-length

The head is that one line; the content follows directly. A file begins with a record `filedesc://…` about itself. An ARC
record is returned as the equivalent WARC record, so no other module asks for the format. ARC has no record ids, no
request records and no revisit records.
"""

import re
from datetime import UTC, datetime

from cleaners.crawl.framing import Format

# The schemes are a list because some crawlers wrote no line end after the content: a length that is one too great would
# leave "ttp:" of the next URL.
_SCHEMES = rb"(?:https?|ftp|dns|filedesc|whois|gopher|news|nntp|mailto|rtsp|mms|metadata|screenshot)"
# Matched from the right, since crawlers wrote URLs with spaces. The date separates the fields: it has 14 digits, and 12
# and 17 occur. A length that is not a number matches, and is refused with its reason where it is read.
_LINE = (
    rb"(?i:"
    + _SCHEMES
    + rb"):[^\r\n]{1,8000}? [0-9A-Fa-f.:-]{1,45} [0-9]{12,18} [^ \r\n]{1,100}(?:; ?[^ \r\n]{1,100})?"
    rb"(?: [^ \r\n]{1,20} [^ \r\n]{1,100} [^ \r\n]{1,4000} [^ \r\n]{1,20} [^ \r\n]{1,500})? [^ \r\n]{1,20}\r?\n"
)
_FIELDS = re.compile(
    r"(?P<url>.+?) (?P<ip>[0-9A-Fa-f.:-]+) (?P<date>[0-9]{12,18}) (?P<type>[^ ]+(?:; ?[^ ]+)?)"
    r"(?: [^ ]+ [^ ]+ [^ ]+ [^ ]+ [^ ]+)? (?P<length>[^ ]+)",
    re.DOTALL,
)


def _read_arc(head: bytes) -> tuple[dict[str, str], bytes]:
    fields = _FIELDS.fullmatch(head.decode("utf-8", "replace"))
    assert fields is not None, head
    is_description = fields["url"].startswith("filedesc:")
    is_http = fields["url"].lower().startswith(("http:", "https:"))
    headers = {
        "warc-type": "filedesc" if is_description else "response",
        "warc-target-uri": fields["url"],
        "warc-date": _iso(fields["date"]),
        "warc-ip-address": fields["ip"],
        "content-type": "application/http; msgtype=response" if is_http else fields["type"],
        "warc-identified-payload-type": fields["type"],
        "content-length": fields["length"],
    }
    lines = ["WARC/1.0", *(f"{name}: {value}" for name, value in headers.items())]
    return headers, "\r\n".join(lines).encode()


def _iso(date: str) -> str:
    """The date in ISO 8601; "" for digits that are not a time. 12 digits lack the seconds."""
    try:
        return datetime.strptime(date[:14].ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=UTC).isoformat()[:19] + "Z"
    except ValueError:
        return ""


ARC = Format(
    name="an ARC",
    begins=re.compile(_LINE),
    next=re.compile(rb"(?<=\n)" + _LINE),
    head_end=re.compile(rb"\r?\n"),
    longest=16 << 10,
    read=_read_arc,
)
