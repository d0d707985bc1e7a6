"""Pages to leave out by their address alone: RefinedWeb's URL filter (arXiv 2306.01116, appendix G.1).

A host on the block list or below it ("a.b.example" when "b.example" is listed), one of the curated sources that a
mixture takes from better copies, and words in the address:

    strict  anywhere, with "-" and "." taken out     one is enough
    hard    as a whole word                          one is enough
    soft    as a whole word                          two are needed

The built-in lists are short; a real run names larger ones (UT1 has 4.6 million domains).
"""

import re
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from cleaners.bounds import Bound, BoundedConfig
from cleaners.wordlist import entries, sha256
from shards.stage import Batch, Rule, Stage, with_columns

_BUILT_IN = Path(__file__).parent / "lists"

# Scheme, user info, then the host as group 1: a bracketed IPv6 address or everything up to port, path, query, fragment.
_HOST = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?[/\\]{2}(?:[^/?#\\]*@)?(\[[^\]]*\]|[^/?#\\:]*)", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")


class UrlConfig(BoundedConfig):
    stops: ClassVar[bool] = True

    # Paths of one's own lists: one entry a line, `#` begins a comment, `.gz` is read. By default the built-in ones.
    blocked_domains: str | None = None
    strict_words: str | None = None
    hard_words: str | None = None
    soft_words: str | None = None
    # RefinedWeb's; exact hosts, "www." ignored. DCLM-baseline has none.
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
    max_strict_words: Bound[int] = 0
    max_hard_words: Bound[int] = 0
    max_soft_words: Bound[int] = 1

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

    def digests(self) -> dict[str, str]:
        lists = ("blocked_domains", "strict_words", "hard_words", "soft_words")
        return {f"{self.name}.{name}": sha256(self._path(name)) for name in lists}

    def build(self) -> Stage:
        blocked = Domains(entries(self._path("blocked_domains")))
        curated = frozenset(self.curated_sources)
        strict = tuple(entries(self._path("strict_words")))
        hard = frozenset(entries(self._path("hard_words")))
        soft = frozenset(entries(self._path("soft_words")))

        def measure(batch: Batch) -> Batch:
            hosts, strict_hits, hard_hits, soft_hits = [], [], [], []
            for url in batch["url"].to_pylist():
                lowered = unquote(url or "").lower()
                squeezed = lowered.replace("-", "").replace(".", "")
                words = _WORD.findall(lowered)
                hosts.append(host_of(url or ""))
                strict_hits.append(sum(word in squeezed for word in strict))
                hard_hits.append(sum(word in hard for word in words))
                soft_hits.append(sum(word in soft for word in words))
            columns = {
                "blocked_domain": blocked.cover(hosts).astype(np.int64),
                "curated_domain": np.array([host.removeprefix("www.") in curated for host in hosts], np.int64),
                "strict_words": np.array(strict_hits, np.int64),
                "hard_words": np.array(hard_hits, np.int64),
                "soft_words": np.array(soft_hits, np.int64),
            }
            return with_columns(batch, {f"{self.name}.{m}": pa.array(values) for m, values in columns.items()})

        return measure

    def _path(self, setting: str) -> Path:
        own = getattr(self, setting)
        return Path(own) if own is not None else _BUILT_IN / f"{setting}.txt"


class Domains:
    """A set of domains as sorted 64-bit hashes: 8 bytes each, where Python's set of 4.6 million takes 0.5 GB."""

    def __init__(self, domains: list[str]) -> None:
        self._hashes = np.unique(
            np.array([xxh3_64_intdigest(_ascii(domain).encode()) for domain in domains], np.uint64)
        )

    def cover(self, hosts: list[str]) -> np.ndarray:
        """bool[hosts]: whether the host is in the set or is a subdomain of a member."""
        owners: list[int] = []
        hashes: list[int] = []
        for i, host in enumerate(hosts):
            while host:
                owners.append(i)
                hashes.append(xxh3_64_intdigest(host.encode()))
                host = host.partition(".")[2]
        wanted = np.array(hashes, np.uint64)
        places = np.searchsorted(self._hashes, wanted)
        found = np.zeros(len(wanted), np.bool_)
        inside = places < len(self._hashes)
        found[inside] = self._hashes[places[inside]] == wanted[inside]
        covered = np.zeros(len(hosts), np.bool_)
        covered[np.array(owners, np.int64)[found]] = True
        return covered


def host_of(url: str) -> str:
    """The host in lower case and ASCII form, without user, port and final dot; "" where there is none."""
    match = _HOST.match(url)
    return _ascii(match[1]) if match else ""


def _ascii(host: str) -> str:
    if "%" in host:
        host = unquote(host)
    host = host.strip().lower().rstrip(".")
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:  # a label too long, empty or of forbidden characters: no such host can be listed
            return host
    return host
