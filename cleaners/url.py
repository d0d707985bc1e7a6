"""RefinedWeb's URL filter (arXiv 2306.01116, appendix G.1): drops pages by their address alone.

It drops hosts on the block list or below an entry of it ("a.b.example" when "b.example" is listed), curated sources,
which a mixture takes from better copies, and addresses that contain listed words:

    strict  anywhere, after "-" and "." are removed  one is enough
    hard    as a whole word                          one is enough
    soft    as a whole word                          two are needed

The built-in lists are short; a real run names larger ones. `blocked_domains = "ut1"` is the 4.6 million domains of UT1.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

from cleaners.assets.domain_lines import host_of
from cleaners.assets.domains import Domains
from cleaners.assets.listfile import open_list
from cleaners.assets.wordlist import entries
from cleaners.thresholds import Threshold, ThresholdConfig
from shards.errors import UserError
from shards.stage import Batch, Rule, Stage, with_columns

_BUILT_IN = Path(__file__).parent / "assets" / "lists"
_LISTS = ("blocked_domains", "strict_words", "hard_words", "soft_words")
_WORD = re.compile(r"[^\W_]+")


class UrlConfig(ThresholdConfig):
    """Kind `url`."""

    version: ClassVar[int] = 2  # 2: block lists are read in all formats of `assets.domain_lines`
    stops: ClassVar[bool] = True

    # Lists by the references of `assets.listfile`: a path, a file of an archive or a package, or `ut1`. They hold one
    # entry a line, and `#` begins a comment. `assets.domain_lines` has the formats of block lists. None is the
    # built-in list.
    blocked_domains: str | None = None
    strict_words: str | None = None
    hard_words: str | None = None
    soft_words: str | None = None
    # RefinedWeb's: exact hosts, without "www.". DCLM-baseline has none.
    curated_sources: tuple[str, ...] = (
        "arxiv.org",
        "askubuntu.com",
        "courtlistener.com",
        "en.wikipedia.org",
        "exporter.nih.gov",
        "github.com",
        "irclogs.ubuntu.com",
        "mathoverflow.net",
        "ncbi.nlm.nih.gov",
        "news.ycombinator.com",
        "reddit.com",
        "stackapps.com",
        "stackexchange.com",
        "stackoverflow.com",
        "statmt.org",
        "uspto.gov",
    )
    max_strict_words: Threshold[int] = 0
    max_hard_words: Threshold[int] = 0
    max_soft_words: Threshold[int] = 1

    METRICS: ClassVar[dict[str, pa.DataType]] = {
        "blocked_domain": pa.int64(),  # 0 or 1
        "curated_domain": pa.int64(),  # 0 or 1
        "strict_words": pa.int64(),  # different ones
        "hard_words": pa.int64(),  # occurrences
        "soft_words": pa.int64(),
    }
    RULES = (
        ("strict_word", "strict_words", "max_strict_words"),
        ("hard_word", "hard_words", "max_hard_words"),
        ("soft_words", "soft_words", "max_soft_words"),
    )

    def rules(self) -> tuple[Rule, ...]:
        blocked = Rule(f"{self.name}.blocked_domain", f"{self.name}.blocked_domain", "blocked_domains", max_kept=0)
        curated = Rule(f"{self.name}.curated_source", f"{self.name}.curated_domain", "curated_sources", max_kept=0)
        return (blocked, curated, *super().rules())

    def published_remark(self, documents_by_language: Mapping[str, int], failed: Mapping[str, int]) -> str:
        if self.blocked_domains is None:
            return "The recipe has only the short built-in block list; the paper's has 4.6 million domains."
        return f"The block list is {self.blocked_domains.rpartition('/')[2]}; the paper's has 4.6 million domains."

    def lists(self) -> dict[str, str | Path]:
        return {f"{self.name}.{name}": self._list(name) for name in _LISTS}

    def notes(self) -> Iterator[str]:
        if self.blocked_domains is None:
            return
        blocked = self._blocked()
        where = f"{self.name}.blocked_domains: {self.blocked_domains}"
        if blocked.lines.first_odd is not None:
            number, line = blocked.lines.first_odd
            yield (
                f"{where}: lines that name no host and block nothing: {blocked.lines.num_odd:,}, the first is line "
                f"{number:,}: {line[:60]!r}; hosts that it blocks: {blocked.num_hosts:,}"
            )
        elif not blocked.num_hosts and not blocked.lines.paths:
            yield f"{where}: names no host, and blocks nothing"

    def build(self) -> Stage:
        blocked = self._blocked()
        curated = frozenset(self.curated_sources)
        strict = tuple(entries(self._list("strict_words")))
        hard = frozenset(entries(self._list("hard_words")))
        soft = frozenset(entries(self._list("soft_words")))

        def measure(batch: Batch) -> Batch:
            hosts, strict_hits, hard_hits, soft_hits = [], [], [], []
            urls = [url or "" for url in batch["url"].to_pylist()]
            for url in urls:
                lowered = unquote(url).lower()
                squeezed = lowered.replace("-", "").replace(".", "")
                words = _WORD.findall(lowered)
                hosts.append(host_of(url))
                strict_hits.append(sum(word in squeezed for word in strict))
                hard_hits.append(sum(word in hard for word in words))
                soft_hits.append(sum(word in soft for word in words))
            columns = {
                "blocked_domain": blocked.cover_urls(urls, hosts).astype(np.int64),
                "curated_domain": np.array([host.removeprefix("www.") in curated for host in hosts], np.int64),
                "strict_words": np.array(strict_hits, np.int64),
                "hard_words": np.array(hard_hits, np.int64),
                "soft_words": np.array(soft_hits, np.int64),
            }
            return with_columns(batch, {f"{self.name}.{m}": pa.array(values) for m, values in columns.items()})

        return measure

    def _blocked(self) -> Domains:
        with open_list(self._list("blocked_domains")) as stream:
            try:
                return Domains(stream)
            except UnicodeDecodeError as error:
                raise UserError(f"{self.blocked_domains}: the list is not UTF-8 text: {error}") from None

    def _list(self, setting: str) -> str | Path:
        reference: str | None = getattr(self, setting)
        return reference if reference is not None else _BUILT_IN / f"{setting}.txt"
