"""Personal data out of the text, as FineWeb does: e-mail addresses and public IP addresses become harmless ones.

Addresses that can belong to nobody stay: example.com and its like (RFC 2606), private, reserved and documentation
networks. The replacements are of that sort, so a second run changes nothing. They are used in turn within a document,
which makes the result a function of the text alone.

Phone and identity numbers are looked for in the countries that a recipe names. Identity numbers must have their check
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

from cleaners.kernels import pii_candidates as places
from cleaners.thresholds import ThresholdConfig, with_metrics
from shards.spans import SPAN_LISTS, Spans, as_lists, in_lists, replace
from shards.stage import Batch, Stage, with_columns
from shards.unicode import text_buffers

Country = Literal["zh", "ru"]
KINDS = ("email", "ip_address", "phone", "identity_number")  # in the order of the metrics
_KINDS = pa.list_(pa.string())
Found = tuple[int, int, int, str, bytes]  # row, start and end in bytes of the batch, kind, replacement

# All patterns are of ASCII and looked for in UTF-8, where Chinese and Russian text around an address is none of it.
# Both parts are as long as RFC 5321 lets them be, which also bounds the search in a megabyte of hyphens.
_ATOM = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~-"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(
    rf"(?<![{_ATOM}])[{_ATOM}][.{_ATOM}]{{0,63}}@(?:{_LABEL}\.){{1,8}}[A-Za-z][A-Za-z0-9-]{{0,61}}[A-Za-z0-9]".encode()
)
_RESERVED = re.compile(r"@(?:.*\.)?(?:example(?:\.(?:com|net|org))?|test|invalid|localhost)$", re.IGNORECASE)

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"(?<![0-9A-Za-z])(?<![0-9]\.)(?:{_OCTET}\.){{3}}{_OCTET}(?![0-9A-Za-z]|\.[0-9])".encode())
# All public addresses lie in 2000::/3, and "12:30:45" or "a::b" does not.
_IPV6 = re.compile(
    rb"(?<![0-9A-Za-z:.])[23][0-9A-Fa-f]{3}(?::{1,2}[0-9A-Fa-f]{1,4}){0,7}(?:::)?(?![0-9A-Za-z]|:[0-9A-Fa-f:])"
)

_PHONES: dict[Country, re.Pattern[bytes]] = {
    # A mobile number, with or without +86; a fixed line with its area code and a hyphen.
    "zh": re.compile(
        rb"(?:\+86[ -]?|(?<![0-9A-Za-z])(?:0086[ -]?)?)(?:1[3-9][0-9](?:[0-9]{8}|([ -])[0-9]{4}\1[0-9]{4})"
        rb"|0[1-9][0-9]{1,2}-[0-9]{7,8})(?![0-9A-Za-z]|[.-][0-9])"
    ),
    # +7 or 8, an area code, seven digits; 11 digits without +, brackets or hyphens could be anything.
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
    """What is looked for, where, and what it becomes."""

    kind: str
    places: int  # EMAILS, ADDRESSES or NUMBERS of `cleaners.kernels.pii_candidates`
    pattern: re.Pattern[bytes]
    is_valid: Callable[[str], bool]
    replacements: tuple[str, ...]


class PiiConfig(ThresholdConfig):
    """Kind `pii`. It edits the text and counts what it replaced; no rule drops a document.

    `<name>.spans` says where: start, end, start, end, ... in bytes of the text as it was; `<name>.replaced_kinds`
    names a kind of KINDS for each.
    """

    version: ClassVar[int] = 2  # what touches an address is judged by the text as it was, not by what replaced that

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
        wanted = sum({search.places for search in searches})

        def replace_in(batch: Batch) -> Batch:
            text = batch["text"]
            data, offsets = text_buffers(text)
            suspicious = np.stack(places.suspicious_places(data, offsets, wanted), axis=1).tolist()
            found: list[Found] = []
            for row, of_row in groupby(suspicious, itemgetter(0)):
                found += _replacements(data, searches, list(of_row), row)
            row_of = np.array([row for row, *_ in found], np.int64)
            begins = np.array([start for _, start, *_ in found], np.int64) - offsets[row_of]
            behind = np.array([end for _, _, end, *_ in found], np.int64) - offsets[row_of]
            spans = Spans(row_of, begins, behind)
            kinds = np.array([kind for *_, kind, _ in found], np.str_)
            counts = {
                metric: np.bincount(row_of[kinds == kind], minlength=len(text))
                for metric, kind in zip(self.METRICS, KINDS, strict=True)
            }
            told = {
                f"{self.name}.spans": as_lists(spans, text),
                f"{self.name}.replaced_kinds": in_lists(
                    pa.array(kinds, pa.string()), np.bincount(row_of, minlength=len(text)), text
                ),
            }
            edited = replace(text, spans, [new for *_, new in found])
            return with_columns(with_metrics(batch, self.name, counts), {**told, "text": edited})

        return replace_in

    def _searches(self) -> list[Search]:
        """In the order of their right to a place."""
        found = []
        if self.emails:
            found.append(Search("email", places.EMAILS, _EMAIL, _is_personal, self.email_replacements))
        if self.ip_addresses:
            found.append(Search("ip_address", places.ADDRESSES, _IPV4, _is_public, self.ipv4_replacements))
            found.append(Search("ip_address", places.ADDRESSES, _IPV6, _is_public, self.ipv6_replacements))
        for country in self.identity_numbers:  # before phones: a number with its check digits is surer
            for pattern, is_valid in _IDENTITY_NUMBERS[country]:
                replacements = self.identity_number_replacements
                found.append(Search("identity_number", places.NUMBERS, pattern, is_valid, replacements))
        for country in self.phones:
            number = Search("phone", places.NUMBERS, _PHONES[country], lambda number: True, self.phone_replacements)
            found.append(number)
        return found


def _replacements(data: np.ndarray, searches: list[Search], of_row: list[list[int]], row: int) -> list[Found]:
    """What is found in the suspicious places of one text, in order."""
    found: list[Found] = []
    for search in searches:
        following = cycle(search.replacements)
        taken = sorted(found)
        for _, start, end, bit in of_row:
            if bit != search.places:
                continue
            place = bytearray(data[start:end].tobytes())
            inside = slice(bisect_left(taken, start, key=itemgetter(2)), bisect_left(taken, end, key=itemgetter(1)))
            for _, first, behind, *_ in taken[inside]:  # a byte that no pattern knows, so that none finds it again
                a, b = max(first, start), min(behind, end)
                place[a - start : b - start] = b"\xff" * (b - a)
            for match in search.pattern.finditer(bytes(place)):
                if search.is_valid(match[0].decode()):
                    span = (row, start + match.start(), start + match.end())
                    found.append((*span, search.kind, next(following).encode()))
    return sorted(found)


def _is_personal(address: str) -> bool:
    return _RESERVED.search(address) is None


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def is_chinese_id(number: str) -> bool:
    """Whether the last of the 18 characters is the check digit of the others: ISO 7064 MOD 11-2, X is ten."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return number[-1].upper() == "10X98765432"[sum(int(c) * w for c, w in zip(number, weights, strict=False)) % 11]


def is_snils(number: str) -> bool:
    digits = [int(c) for c in number if c.isdigit()]
    check = sum(digit * (9 - i) for i, digit in enumerate(digits[:9])) % 101 % 100
    return any(digits) and digits[9] * 10 + digits[10] == check


def is_inn(number: str) -> bool:
    digits = [int(c) for c in number]
    eleventh = sum(d * w for d, w in zip(digits, (7, 2, 4, 10, 3, 5, 9, 4, 6, 8), strict=False)) % 11 % 10
    twelfth = sum(d * w for d, w in zip(digits, (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8), strict=False)) % 11 % 10
    return any(digits) and digits[10:] == [eleventh, twelfth]


_IDENTITY_NUMBERS: dict[Country, tuple[tuple[re.Pattern[bytes], Callable[[str], bool]], ...]] = {
    "zh": ((_CHINESE_ID, is_chinese_id),),
    "ru": ((_SNILS, is_snils), (_INN, is_inn)),
}
