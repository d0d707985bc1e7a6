"""One line of a list of hosts, in the formats in which block lists and opt-outs are published.

    host.example   *.host.example   .host.example   host.example:8080      the host and all below it
    http://host.example/     HOST.example.     пример.рф     xn--…          the same
    0.0.0.0 a.example b.example   ::1 a.example                            a hosts file
    ||host.example^   ||host.example^$important,document                   Adblock, if it blocks whole pages
    address=/a.example/b.example/0.0.0.0   local=/a.example/               dnsmasq
    host.example CNAME .                                                   a response policy zone
    domain:host.example   full:host.example:@ads                           V2Ray
    host.example/ads/   http://host.example/ads/                           the pages below that path
    # …   ! …   ; …   [Adblock Plus 2.0]                                   nothing

Other lines name no host: "@@||host^", "||host^$third-party" and "host##.banner" do not block a page, and /ad[0-9]/ is
a pattern of addresses. Nor does an address of IPv6, or a host with ":" and no number: "regexp:host", "host.example:".
"""

import re
from typing import NamedTuple
from urllib.parse import unquote

_URL_HOST = re.compile(
    r"\s*(?:[a-z][a-z0-9+.-]*:)?[/\\]{2}(?:[^/?#\\]*@)?(\[[^\]]*\]|[^/?#\\:]*)(?::[0-9]*)?", re.IGNORECASE
)
_NAME = re.compile(r"[a-z0-9_][a-z0-9._-]*")
_COMMENT = re.compile(r"[#!;]|\[adblock[^\]]*\]\Z", re.IGNORECASE)
_ELEMENT = re.compile(r"\S#[@?$%]{0,2}#")  # Adblock: hides or changes parts of pages
_SINK = re.compile(r"0\.0\.0\.0|127\.[0-9.]+|255\.255\.255\.255|::1?|fe80::1%lo0|f[ef]0[0-9]::[0-9]?", re.IGNORECASE)
_ADBLOCK = re.compile(r"\|\|?([^|^$*]+?|\*\.[^|^$*]+?)\^?\|?(?:\$(.*))?")
_OF_PAGES = frozenset(("all", "doc", "document", "important"))  # options with which a rule blocks whole pages
_DNSMASQ = re.compile(r"(?:address|server|local)=/(.+)/[^/]*", re.IGNORECASE)
_V2RAY = re.compile(r"(?:domain|full):([^\s:@]+)(?:[\s:,]*@[^\s:,@]+)*", re.IGNORECASE)  # "@" begins an attribute
_NO_PORT = re.compile(r"[^/?]*:(?!(?:[0-9]+|\*)(?:[/?]|\Z))")
_POLICY = re.compile(r"(\S+)\s+(?:[0-9]+\s+)?(?:IN\s+)?CNAME\s+\.", re.IGNORECASE)


class Entry(NamedTuple):
    host: str  # in lower case and ASCII form
    path: str  # "" for all pages, otherwise from "/" on


def entries_of_line(line: str) -> tuple[Entry, ...] | None:
    """What the line names: nothing for a comment; None for a line that says something else."""
    line = line.strip()
    if not line or _COMMENT.match(line):
        return ()
    if _ELEMENT.search(line):
        return None
    entries = tuple(map(_entry, _names(line.partition("#")[0].strip())))
    return None if not entries or None in entries else entries  # type: ignore[return-value]


def _names(line: str) -> list[str]:
    first, *others = line.split()
    if others and _SINK.fullmatch(first):
        return others
    if found := _POLICY.fullmatch(line) or _V2RAY.fullmatch(line):
        return [found[1]]
    if others:
        return []
    if found := _DNSMASQ.fullmatch(line):
        return found[1].split("/")
    if not line.startswith("|"):
        return [line]
    found = _ADBLOCK.fullmatch(line)
    blocks_pages = found and (found[2] is None or _OF_PAGES.issuperset(found[2].lower().split(",")))
    return [found[1]] if found and blocks_pages else []


def _entry(name: str) -> Entry | None:
    if "//" not in name and _NO_PORT.match(name):
        return None
    url = name if "//" in name else f"//{name}"
    host = host_of(url).removeprefix("*.").removeprefix(".")
    path = path_of(url)
    if not _NAME.fullmatch(host) or re.fullmatch(r"[0-9.]+/[0-9]+", name):  # a network
        return None
    return Entry(host, "" if path in ("/", "/*") else path)


def host_of(url: str) -> str:
    """The host in lower case and ASCII form, without user, port and final dot; "" where there is none."""
    match = _URL_HOST.match(url)
    return ascii_host(match[1]) if match else ""


def path_of(url: str) -> str:
    """What follows the host and its port, from "/" on, with the query."""
    match = _URL_HOST.match(url)
    rest = url[match.end() :] if match else ""
    return rest if rest.startswith("/") else f"/{rest}"


def ascii_host(host: str) -> str:
    """`host` in lower case and without its final dot; an international name in its ASCII form."""
    if "%" in host:
        host = unquote(host)
    host = host.strip().lower().rstrip(".")
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:  # a label too long, empty or of forbidden characters: no such host can be listed
            return host
    return host
