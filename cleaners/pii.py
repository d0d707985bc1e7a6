"""Replaces personal data in the text, as FineWeb does: e-mail addresses and public IP addresses become harmless ones.

Addresses that can belong to nobody stay: example.com and other reserved domains (RFC 2606), and private, reserved and
documentation networks. So do versions, files and others that only look like addresses (`cleaners.personal_data`). The
replacements are addresses that stay, so a second run changes nothing. They are used in turn within a document, which
makes the result a function of the text alone.

Phone and identity numbers are replaced for the countries that a recipe names. Identity numbers must have valid check
digits: China's 18-digit number (ISO 7064 MOD 11-2), Russia's SNILS and the personal INN of 12 digits.
"""

from bisect import bisect_left
from itertools import cycle, groupby
from operator import itemgetter
from typing import ClassVar

import numpy as np
import pyarrow as pa

from cleaners.assets.top_level_domains import top_level_domains_sha256
from cleaners.kernels.pii_candidates import ADDRESSES, EMAILS, NUMBERS, candidates
from cleaners.personal_data.emails import find_emails
from cleaners.personal_data.ip_addresses import find_ipv4, find_ipv6
from cleaners.personal_data.numbers import Country, identity_numbers_of, phones_of
from cleaners.personal_data.region import Region, Search
from cleaners.thresholds import ThresholdConfig, with_metrics
from shards.spans import SPAN_LISTS, Spans, as_lists, in_lists, replace
from shards.stage import Batch, Stage, with_columns
from shards.unicode import text_buffers

KINDS = ("email", "ip_address", "phone", "identity_number")  # in the order of the metrics
_KINDS = pa.list_(pa.string())
Match = tuple[int, int, int, str, bytes]  # row, start and end in bytes of the batch, kind, replacement


class PiiConfig(ThresholdConfig):
    """Kind `pii`. It edits the text and counts what it replaced; no rule drops a document.

    `<name>.spans` holds the replaced spans: start, end, start, end, ... in bytes of the text as it was.
    `<name>.replaced_kinds` names the kind of each, one of KINDS.
    """

    # 2: text beside an address is matched as it was, and not with the replacement of the address in it
    # 3: versions and files are no addresses; international and full-width addresses and numbers are found
    version: ClassVar[int] = 3

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

    def digests(self) -> dict[str, str]:
        return {f"{self.name}.top_level_domains": top_level_domains_sha256()} if self.emails else {}

    def build(self) -> Stage:
        searches = self._searches()
        wanted = sum({search.candidates for search in searches})

        def replace_in(batch: Batch) -> Batch:
            text = batch["text"]
            data, offsets = text_buffers(text)
            regions = np.stack(candidates(data, offsets, wanted), axis=1).tolist()
            matches: list[Match] = []
            for row, regions_of_row in groupby(regions, itemgetter(0)):
                bounds = int(offsets[row]), int(offsets[row + 1])
                matches += _matches(data, searches, list(regions_of_row), row, bounds)
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
            searches.append(Search("email", EMAILS, find_emails, self.email_replacements))
        if self.ip_addresses:
            searches.append(Search("ip_address", ADDRESSES, find_ipv4, self.ipv4_replacements))
            searches.append(Search("ip_address", ADDRESSES, find_ipv6, self.ipv6_replacements))
        for country in self.identity_numbers:  # before phones: a number with its check digits is surer
            searches += (
                Search("identity_number", NUMBERS, find, self.identity_number_replacements)
                for find in identity_numbers_of(country)
            )
        searches += (Search("phone", NUMBERS, phones_of(country), self.phone_replacements) for country in self.phones)
        return searches


def _matches(
    data: np.ndarray, searches: list[Search], regions: list[list[int]], row: int, bounds: tuple[int, int]
) -> list[Match]:
    """All matches in one text, in order. `regions` are its candidates: row, start, end and bit of each."""
    matches: list[Match] = []
    for search in searches:
        replacements = cycle(search.replacements)
        taken = [(start, end) for _, start, end, *_ in sorted(matches)]
        for _, start, end, bit in regions:
            if bit != search.candidates:
                continue
            inside = slice(bisect_left(taken, start, key=itemgetter(1)), bisect_left(taken, end, key=itemgetter(0)))
            spans = search.spans(Region(data, bounds, (start, end), taken[inside]))
            matches += ((row, *span, search.kind, next(replacements).encode()) for span in spans)
    return sorted(matches)
