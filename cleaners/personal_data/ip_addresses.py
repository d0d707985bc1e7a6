"""Public IP addresses, and numbers of four parts that are none: versions, section numbers, object identifiers.

    the server 8.8.8.8, 8.8.8.8:53, [8.8.8.8]                         addresses
    version 8.8.8.8, Chrome/120.0.0.0, lib-1.2.3.4.so, >=1.2.3.4      versions
    第3.1.2.1节, table 8.2.1.4, "3.1.2 Scope … 3.1.2.1 Terms"          places in a document
    1.3.6.1, 2024:10:12:9:30:0:0:1                                   an object identifier, a time

A number is none where a word says so just before or after it, where it follows such a number in a list, and where it is
as small as versions are and stands within 160 bytes after one.
"""

import ipaddress
import re
from collections.abc import Iterator

from cleaners.personal_data.region import Region, Span

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"(?<![0-9A-Za-z])(?<![0-9]\.)(?:{_OCTET}\.){{3}}{_OCTET}(?![0-9A-Za-z]|\.[0-9])")
# All public addresses are in 2000::/3, unlike "12:30:45" and "a::b".
_IPV6 = re.compile(
    r"(?<![0-9A-Za-z:.])[23][0-9A-Fa-f]{3}(?::{1,2}[0-9A-Fa-f]{1,4}){0,7}(?:::)?(?![0-9A-Za-z]|:[0-9A-Fa-f:])"
)
_TIME = re.compile("20[0-9]{2}(?::{1,2}[0-5]?[0-9])+")
_INTERNET = "1.3.6.1"  # the arc of object identifiers in RFC 1155

_NAME = re.compile(
    "v|ver|vers|versions?|versión|rev|revision|releases?|builds?|firmware|drivers?|kernel|update[ds]?|upgrade[ds]?|patch"
    "|hotfix|framework|sdk|runtime|bios|net|java|jdk|jre|python|php|mysql|chrome|chromium|firefox|safari|opera|android"
    "|ios|macos|windows|linux|ubuntu|debian|wordpress"
    "|sections?|sect|sec|subsection|sección|abschnitt|chapters?|ch|kapitel|chapitre|capítulo|tables?|tabelle|figures?"
    "|fig|abb|appendix|annex|clauses?|articles?|art|paragraphs?|para|part|items?|steps?|oid|requirement"
    "|верси[яюией]{1,2}|вер|релиз[аеу]?|сборк[аиеу]|прошивк[аиеу]|драйвера?|обновлени[еяю]|раздел[аеуы]?|подраздел[аеу]?"
    "|глав[аеуы]|пункт[аеуы]?|пунктом|подпункт[аеу]?|пп?|ст|стать[яиею]|таблиц[аеуы]|табл|рис|рисун[окаке]{2,3}"
    "|приложени[еяю]",
    re.IGNORECASE,
)
_CHINESE_NAMES = tuple("版本 固件 驱动 驱动程序 内核 补丁 软件 第 版 章 节 条 款 图 表 附录".split())
_FILLER = r"(?:[\s.:：#№=(\[]|(?:numbers?|num|no|nr|to|from|is|номер[ау]?)(?!\w)|[号为是])*"
_WORD = re.compile(rf"([^\W\d_]+|§){_FILLER}\Z", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![0-9.])[0-9]+(?:\.[0-9]+)+")
_NAME_CHARS = 48  # of a name with its fillers
_LIST = re.compile(r"(?:(?<![0-9A-Za-z.])[0-9]+(?:\.[0-9]+)+\s*(?:[,;、，/&-]|and|or|to|和|或|至|и|или|до)\s*)+\Z")
_GLUED = re.compile(
    r"(?<![\w./:@-])[A-Za-z][\w+-]*/\Z"  # Chrome/
    r"|(?<![A-Za-z])(?!(?:ip|host|node|server|addr)[0-9]*[-_])[A-Za-z]+[0-9]*[-_]\Z"  # lib-
    r"|(?:==|>=|<=|~=|~>|\^|≥|≤)\s?[\"']?\Z",
    re.IGNORECASE,
)
_NAMED_AFTER = re.compile(
    r"\s?(?:[版节章条款]|及?以上)|-[A-Za-z]|\s(?:releases?|versions?|builds?|firmware|patch|hotfix)\b"
    r"|\s(?:or|and)\s(?:later|newer|above|higher|up)\b|\sи\s(?:выше|новее)\b",
    re.IGNORECASE,
)
_ADDRESS_BEFORE = re.compile(
    r"(?:(?<![^\W\d_])(?:ip(?:v4)?|addr(?:ess(?:es)?)?|hosts?|servers?|dns|gateway|router|proxy|ping|traceroute"
    r"|адрес[ау]?|сервера?|хост|шлюз)(?![^\W\d_])|地址|服务器|网关|主机)[^.;。]{0,24}\Z",
    re.IGNORECASE,
)


def find_ipv4(region: Region) -> Iterator[Span]:
    for match in _IPV4.finditer(region.text):
        if _is_public(match[0]) and not _counts(match[0], region.before(match.start()), region.after(match.end())):
            yield match.span()


def find_ipv6(region: Region) -> Iterator[Span]:
    return (m.span() for m in _IPV6.finditer(region.text) if _is_public(m[0]) and not _TIME.fullmatch(m[0]))


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def _counts(number: str, before: str, after: str) -> bool:
    """Whether a number of four parts counts versions or places in a document, by what stands before and after it."""
    if number == _INTERNET or _NAMED_AFTER.match(after):
        return True
    match = _LIST.search(before)
    before_list = before[: match.start()] if match else before
    if _is_named(before_list) or _GLUED.search(before_list[-_NAME_CHARS:]) or _GLUED.search(before[-_NAME_CHARS:]):
        return True
    first, *others = map(int, number.split("."))
    if first > 20 or max(others) > 99 or _ADDRESS_BEFORE.search(before) or re.match("[:/][0-9]", after):
        return False
    chapter = number.rpartition(".")[0]
    return any(found[0] == chapter or _is_named(before[: found.start()]) for found in _NUMBER.finditer(before))


def _is_named(before: str) -> bool:
    """Whether the last word says that a version or a place in a document follows."""
    word = _WORD.search(before[-_NAME_CHARS:])
    return word is not None and (
        word[1] == "§" or _NAME.fullmatch(word[1]) is not None or word[1].rstrip("号为是").endswith(_CHINESE_NAMES)
    )
