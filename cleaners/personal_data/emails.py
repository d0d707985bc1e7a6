"""E-mail addresses, also international ones (RFC 6531), and what has an "@" and is none.

    anna@site.org  josé@site.org  иван@почта.рф  用户@例子.公司            addresses
    logo@2x.png  pack@1.0.0.tgz                                          files: no top-level domain, or a version
    git@host.org:a/b.git  ssh://me@host.org  scp me@host.org:/a         accounts of machines

A part is of one script: in "邮箱abc@qq.com" and "abc@qq.com欢迎" the Chinese words are none of the address. Before an
"@" and an ASCII domain, Chinese and other scripts without spaces are words of the sentence.
"""

import re
from collections.abc import Iterator

from cleaners.assets.top_level_domains import is_top_level_domain
from cleaners.personal_data.region import Region, Span

# Both parts have the greatest length of RFC 5321, which also limits the search in a megabyte of hyphens.
_ACCENTED = "À-ÖØ-öø-ɏ\u0300-\u036fḀ-ỿ"
_ATOM = rf"A-Za-z0-9!#$%&'*+/=?^_`{{|}}~{_ACCENTED}-"
# A letter or digit of another script, or one of the marks without which Arabic and Indic words are not written.
_OTHER = rf"(?:[^\W_A-Za-z{_ACCENTED}]|[\u0591-\u05c7\u064b-\u0655\u0900-\u0dff\u0e00-\u0eff])"
_LOCAL = re.compile(
    rf"(?:(?<![{_ATOM}])[{_ATOM}][.{_ATOM}]{{0,63}}|(?<!{_OTHER}){_OTHER}(?:{_OTHER}|[._+-]){{0,63}})\Z"
)
_WITH_SPACES = re.compile("[0-9\u0370-\u06ff\u10a0-\u10ff]")  # Greek, Cyrillic, Armenian, Hebrew, Arabic, Georgian

_LABEL = (
    rf"(?:[A-Za-z0-9{_ACCENTED}](?:[A-Za-z0-9{_ACCENTED}-]{{0,61}}[A-Za-z0-9{_ACCENTED}])?"
    rf"|{_OTHER}(?:(?:{_OTHER}|-){{0,61}}{_OTHER})?)"
)
_TOP = rf"(?:[A-Za-z][A-Za-z0-9-]{{0,61}}[A-Za-z0-9]|{_OTHER}{{2,63}})"
_DOMAIN = re.compile(rf"@((?:{_LABEL}\.){{1,8}}{_TOP})")
_RESERVED = re.compile(r"(?:.*\.)?(?:example(?:\.(?:com|net|org))?|test|invalid|localhost)", re.IGNORECASE)  # RFC 2606
_VERSION = re.compile(r"v?[0-9]+\.[0-9]|[1-9](?:\.[0-9])?x\.|[0-9]+\.(?:zip|mov)\Z", re.IGNORECASE)
# Of networks at home and at work, and of mail before the domain name system.
_PRIVATE = frozenset(("local", "internal", "lan", "corp", "intranet", "home", "uucp", "bitnet"))

_IN_URL = re.compile(r"(?<![A-Za-z0-9+.-])(?!mailto:)[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#]*\Z", re.IGNORECASE)
_COMMAND = re.compile(r"(?<![\w.-])(?:ssh|scp|sftp|rsync|mosh|ssh-copy-id)\s(?:\s*-\S+(?:\s+[0-9]+)?)*\s*\Z")
_REMOTE_PATH = re.compile(r":(?!//)[\w~.-]*/")
_MACHINES = frozenset(("git", "hg", "svn"))


def find_emails(region: Region) -> Iterator[Span]:
    end = 0
    for match in _DOMAIN.finditer(region.text):
        local = _LOCAL.search(region.text, max(end, match.start() - 64), match.start())
        size = _domain_chars(match[1])
        if local and size and _is_personal(region, local.start(), match.start(), match.start(1) + size):
            end = match.start(1) + size
            yield local.start(), end


def _domain_chars(domain: str) -> int:
    """The characters of `domain` as far as it has a top-level domain; 0 if it has none or is a version."""
    if _VERSION.match(domain):
        return 0
    *labels, top = domain.split(".")
    others = len(domain) - len(top)
    if not top.isascii():  # "公司欢迎": the sentence goes on
        sizes = (size for size in range(len(top), 1, -1) if is_top_level_domain(top[:size]))
        return others + size if (size := next(sizes, 0)) else 0
    if _is_top(top):
        return len(domain)
    glued = re.match("[a-z]{2,}(?=[A-Z])", top)  # "anna@site.orgPhone"
    if glued and _is_top(glued[0]):
        return others + glued.end()
    sentence = top[0].isupper() and len(labels) > 1 and _is_top(labels[-1])  # "anna@site.org.Write"
    return others - 1 if sentence else 0


def _is_top(label: str) -> bool:
    return label.lower() in _PRIVATE or is_top_level_domain(label)


def _is_personal(region: Region, start: int, at: int, end: int) -> bool:
    local, domain = region.text[start:at], region.text[at + 1 : end]
    if _RESERVED.fullmatch(domain) or (domain.isascii() and not (local[0].isascii() or _may_stand_alone(local))):
        return False
    before, after = region.before(at), region.after(end)
    if _IN_URL.search(before) or _COMMAND.search(before.removesuffix(local)):
        return False
    return not (after.startswith(":") and (local.lower() in _MACHINES or _REMOTE_PATH.match(after)))


def _may_stand_alone(local: str) -> bool:
    """Whether a space would part it from the sentence before it."""
    return local.lower() != local.upper() or _WITH_SPACES.match(local) is not None
