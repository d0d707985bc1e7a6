"""Replaces personal data in the text, as FineWeb does: e-mail addresses and public IP addresses become harmless ones.

Addresses that can belong to nobody stay: example.com and other reserved domains (RFC 2606), and private, reserved and
documentation networks. The replacements are such addresses, so a second run changes nothing. They are used in turn
within a document, which makes the result a function of the text alone.

Phone and identity numbers are replaced for the countries that a recipe names. Identity numbers must have valid check
digits: China's 18-digit number (ISO 7064 MOD 11-2), Russia's SNILS and the personal INN of 12 digits.
"""

import ipaddress
import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, groupby
from operator import itemgetter
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa

from cleaners.kernels.pii_candidates import ADDRESSES, EMAILS, NUMBERS, candidates
from cleaners.thresholds import ThresholdConfig, with_metrics
from shards.spans import SPAN_LISTS, Spans, as_lists, in_lists, replace
from shards.stage import Batch, Stage, with_columns
from shards.unicode import text_buffers

Country = Literal["zh", "ru"]
KINDS = ("email", "ip_address", "phone", "identity_number")  # in the order of the metrics
_KINDS = pa.list_(pa.string())
Match = tuple[int, int, int, str, bytes]  # row, start and end in bytes of the batch, kind, replacement

# All patterns are of ASCII bytes and are searched in UTF-8, so Chinese and Russian text around an address never
# matches. Both parts have the greatest length of RFC 5321, which also limits the search in a megabyte of hyphens.
_ATOM = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~-"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(
    rf"(?<![{_ATOM}])[{_ATOM}][.{_ATOM}]{{0,63}}@(?:{_LABEL}\.){{1,8}}[A-Za-z][A-Za-z0-9-]{{0,61}}[A-Za-z0-9]".encode()
)
_RESERVED = re.compile(r"@(?:.*\.)?(?:example(?:\.(?:com|net|org))?|test|invalid|localhost)$", re.IGNORECASE)

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"(?<![0-9A-Za-z])(?<![0-9]\.)(?:{_OCTET}\.){{3}}{_OCTET}(?![0-9A-Za-z]|\.[0-9])".encode())
# All public addresses are in 2000::/3, unlike "12:30:45" and "a::b".
_IPV6 = re.compile(
    rb"(?<![0-9A-Za-z:.])[23][0-9A-Fa-f]{3}(?::{1,2}[0-9A-Fa-f]{1,4}){0,7}(?:::)?(?![0-9A-Za-z]|:[0-9A-Fa-f:])"
)

_PHONES: dict[Country, re.Pattern[bytes]] = {
    # A mobile number, with or without +86; a fixed line with its area code and a hyphen.
    "zh": re.compile(
        rb"(?:\+86[ -]?|(?<![0-9A-Za-z])(?:0086[ -]?)?)(?:1[3-9][0-9](?:[0-9]{8}|([ -])[0-9]{4}\1[0-9]{4})"
        rb"|0[1-9][0-9]{1,2}-[0-9]{7,8})(?![0-9A-Za-z]|[.-][0-9])"
    ),
    # +7 or 8, an area code, seven digits. 11 digits without +, brackets or hyphens could be anything.
    "ru": re.compile(
        rb"(?:\+7[ -]?(?:\([3489][0-9]{2}\)|[3489][0-9]{2})[ -]?"
        rb"|(?<![0-9A-Za-z])8(?: ?\([3489][0-9]{2}\) ?|-[3489][0-9]{2}-| [3489][0-9]{2} ))"
        rb"[0-9]{3}[ -]?[0-9]{2}[ -]?[0-9]{2}(?![0-9A-Za-z]|[.-][0-9])"
    ),
}
_CHINESE_ID = re.compile(
    rb"(?<![0-9A-Za-z])[1-9][0-9]{5}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx]"
    rb"(?![0-9A-Za-z])"
)
_SNILS = re.compile(rb"(?<![0-9A-Za-z-])[0-9]{3}-[0-9]{3}-[0-9]{3}[ -][0-9]{2}(?![0-9A-Za-z-])")
_INN = re.compile(rb"(?<![0-9A-Za-z])[0-9]{12}(?![0-9A-Za-z])")


@dataclass(frozen=True)
class Search:
    """A pattern, the candidates in which it is searched, and what its matches become."""

    kind: str
    candidates: int  # EMAILS, ADDRESSES or NUMBERS
    pattern: re.Pattern[bytes]
    is_valid: Callable[[str], bool]
    replacements: tuple[str, ...]


class PiiConfig(ThresholdConfig):
    """Kind `pii`. It edits the text and counts what it replaced; no rule drops a document.

    `<name>.spans` holds the replaced spans: start, end, start, end, ... in bytes of the text as it was.
    `<name>.replaced_kinds` names the kind of each, one of KINDS.
    """

    version: ClassVar[int] = (
        2  # 2: text beside an address is matched as it was, and not with the replacement of the address in it
    )

    emails: bool = True
    ip_addresses: bool = True
    phones: tuple[Country, ...] = ()
    identity_numbers: tuple[Country, ...] = ()
    email_replacements: tuple[str, ...] = ("email@example.com", "firstname.lastname@example.org")  # FineWeb's
    ipv4_replacements: tuple[str, ...] = ("192.0.2.1", "198.51.100.1", "203.0.113.1")  # RFC 5737
    ipv6_replacements: tuple[str, ...] = ("2001:db8::1",)  # RFC 3849
    phone_replacements: tuple[str, ...] = ("[PHONE]",)
    identity_number_replacements: tuple[str, ...] = ("[ID]",)

    METRICS: ClassVar[dict[str, pa.DataType]] = {
        "emails": pa.int64(),
        "ip_addresses": pa.int64(),
        "phones": pa.int64(),
        "identity_numbers": pa.int64(),
    }
    RULES = ()

    @property
    def edits(self) -> bool:
        return True

    def columns(self) -> pa.Schema:
        spans = pa.field(f"{self.name}.spans", SPAN_LISTS)
        return super().columns().append(spans).append(pa.field(f"{self.name}.replaced_kinds", _KINDS))

    def build(self) -> Stage:
        searches = self._searches()
        wanted = sum({search.candidates for search in searches})

        def replace_in(batch: Batch) -> Batch:
            text = batch["text"]
            data, offsets = text_buffers(text)
            regions = np.stack(candidates(data, offsets, wanted), axis=1).tolist()
            matches: list[Match] = []
            for row, regions_of_row in groupby(regions, itemgetter(0)):
                matches += _matches(data, searches, list(regions_of_row), row)
            rows = np.array([row for row, *_ in matches], np.int64)
            starts = np.array([start for _, start, *_ in matches], np.int64) - offsets[rows]
            ends = np.array([end for _, _, end, *_ in matches], np.int64) - offsets[rows]
            spans = Spans(rows, starts, ends)
            kinds = np.array([kind for *_, kind, _ in matches], np.str_)
            counts = {
                metric: np.bincount(rows[kinds == kind], minlength=len(text))
                for metric, kind in zip(self.METRICS, KINDS, strict=True)
            }
            lists = {
                f"{self.name}.spans": as_lists(spans, text),
                f"{self.name}.replaced_kinds": in_lists(
                    pa.array(kinds, pa.string()), np.bincount(rows, minlength=len(text)), text
                ),
            }
            edited = replace(text, spans, [replacement for *_, replacement in matches])
            return with_columns(with_metrics(batch, self.name, counts), {**lists, "text": edited})

        return replace_in

    def _searches(self) -> list[Search]:
        """In the order of precedence: a later search finds nothing in the matches of an earlier one."""
        searches = []
        if self.emails:
            searches.append(Search("email", EMAILS, _EMAIL, _is_personal, self.email_replacements))
        if self.ip_addresses:
            searches.append(Search("ip_address", ADDRESSES, _IPV4, _is_public, self.ipv4_replacements))
            searches.append(Search("ip_address", ADDRESSES, _IPV6, _is_public, self.ipv6_replacements))
        for country in self.identity_numbers:  # before phones: a number with its check digits is surer
            for pattern, is_valid in _IDENTITY_NUMBERS[country]:
                replacements = self.identity_number_replacements
                searches.append(Search("identity_number", NUMBERS, pattern, is_valid, replacements))
        for country in self.phones:
            phone = Search("phone", NUMBERS, _PHONES[country], lambda number: True, self.phone_replacements)
            searches.append(phone)
        return searches


def _matches(data: np.ndarray, searches: list[Search], regions: list[list[int]], row: int) -> list[Match]:
    """All matches in one text, in order. `regions` are its candidates: row, start, end and bit of each."""
    matches: list[Match] = []
    for search in searches:
        replacements = cycle(search.replacements)
        taken = sorted(matches)
        for _, start, end, bit in regions:
            if bit != search.candidates:
                continue
            region = bytearray(data[start:end].tobytes())
            inside = slice(bisect_left(taken, start, key=itemgetter(2)), bisect_left(taken, end, key=itemgetter(1)))
            for _, taken_start, taken_end, *_ in taken[inside]:  # 0xff is in no pattern, so none matches here again
                a, b = max(taken_start, start), min(taken_end, end)
                region[a - start : b - start] = b"\xff" * (b - a)
            for match in search.pattern.finditer(bytes(region)):
                if search.is_valid(match[0].decode()):
                    span = (row, start + match.start(), start + match.end())
                    matches.append((*span, search.kind, next(replacements).encode()))
    return sorted(matches)


def _is_personal(address: str) -> bool:
    return _RESERVED.search(address) is None


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def is_chinese_id(number: str) -> bool:
    """Whether the last of the 18 characters is the check digit of the others by ISO 7064 MOD 11-2, where X is ten."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return number[-1].upper() == "10X98765432"[sum(int(c) * w for c, w in zip(number, weights, strict=False)) % 11]


def is_snils(number: str) -> bool:
    """Whether the last two of the 11 digits are the check digits of Russia's pension number."""
    digits = [int(c) for c in number if c.isdigit()]
    check = sum(digit * (9 - i) for i, digit in enumerate(digits[:9])) % 101 % 100
    return any(digits) and digits[9] * 10 + digits[10] == check


def is_inn(number: str) -> bool:
    """Whether the last two of the 12 digits are the check digits of Russia's personal tax number."""
    digits = [int(c) for c in number]
    eleventh = sum(d * w for d, w in zip(digits, (7, 2, 4, 10, 3, 5, 9, 4, 6, 8), strict=False)) % 11 % 10
    twelfth = sum(d * w for d, w in zip(digits, (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8), strict=False)) % 11 % 10
    return any(digits) and digits[10:] == [eleventh, twelfth]


_IDENTITY_NUMBERS: dict[Country, tuple[tuple[re.Pattern[bytes], Callable[[str], bool]], ...]] = {
    "zh": ((_CHINESE_ID, is_chinese_id),),
    "ru": ((_SNILS, is_snils), (_INN, is_inn)),
}
