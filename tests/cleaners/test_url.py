import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest
from stage_cases import reasons

from cleaners.assets.listfile import facts_of
from cleaners.url import UrlConfig
from shards.errors import UserError


def reasons_of(url: str | None, **settings: object) -> list[str]:
    return reasons(UrlConfig(name="url", **settings), pa.record_batch({"url": pa.array([url], pa.string())}))[0]


@pytest.fixture
def lists(tmp_path: Path) -> dict[str, str]:
    """Lists of our own as settings."""
    entries = {
        "blocked_domains": "# a comment\nbad.example\nПлохой.рф\n",
        "strict_words": "strictword",
        "hard_words": "hard",
        "soft_words": "soft\nsofter",
    }
    for name, text in entries.items():
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    return {name: str(tmp_path / f"{name}.txt") for name in entries}


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://bad.example/", ["blocked_domain"]),
        ("http://a.b.BAD.example:80/", ["blocked_domain"]),
        ("http://notbad.example/", []),
        ("http://example/", []),
        ("http://good.example/bad.example", []),
        ("http://www.плохой.рф/", ["blocked_domain"]),
        ("http://xn--90askchf.xn--p1ai/", []),
    ],
)
def test_blocked_domain(url: str, wanted: list[str], lists: dict[str, str]) -> None:
    assert reasons_of(url, **lists) == wanted


def test_curated_source() -> None:
    assert reasons_of("https://www.arxiv.org/abs/2306.01116") == ["curated_source"]
    assert reasons_of("https://arxiv.org/abs/2306.01116", curated_sources=()) == []
    assert reasons_of("https://export.arxiv.org/abs/2306.01116") == []
    assert reasons_of("https://de.wikipedia.org/wiki/Korn") == []


def test_strict_word(lists: dict[str, str]) -> None:
    assert reasons_of("http://a.example/my-strict-wordy.html", **lists) == ["strict_word"]
    assert reasons_of("http://a.example/strict/word", **lists) == []


def test_hard_word(lists: dict[str, str]) -> None:
    assert reasons_of("http://a.example/too_HARD", **lists) == ["hard_word"]
    assert reasons_of("http://a.example/%68ard", **lists) == ["hard_word"]
    assert reasons_of("http://a.example/harder", **lists) == []


def test_soft_words(lists: dict[str, str]) -> None:
    assert reasons_of("http://a.example/soft", **lists) == []
    assert reasons_of("http://a.example/soft/softer", **lists) == ["soft_words"]
    assert reasons_of("http://a.example/soft/soft", max_soft_words=2, **lists) == []


@pytest.mark.parametrize("url", ["", None])
def test_a_row_without_a_url_passes(url: str | None) -> None:
    assert reasons_of(url) == []


def test_a_list_may_be_compressed_and_versions_have_different_digests(tmp_path: Path) -> None:
    path = tmp_path / "domains.gz"
    path.write_bytes(gzip.compress(b"bad.example\n", mtime=0))
    config = UrlConfig(name="url", blocked_domains=str(path))
    assert reasons_of("http://bad.example/", blocked_domains=str(path)) == ["blocked_domain"]
    facts = [facts_of(given.lists())["url.blocked_domains"] for given in (config, UrlConfig(name="url"))]
    assert facts[0]["sha256"] != facts[1]["sha256"]


@pytest.mark.parametrize(
    "data", [None, b"not gzip", gzip.compress(b"x" * 100, mtime=0)[:20], gzip.compress(b"\xe9t\xe9", mtime=0)]
)
def test_a_list_that_cannot_be_read_is_the_users_error(data: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "domains.gz"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UserError, match=r"domains\.gz: the list"):
        UrlConfig(name="url", blocked_domains=str(path)).build()


def test_lines_of_a_block_list_that_name_no_host_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "blocked.txt"
    path.write_text("a.example\n||b.example^\n@@||c.example^\n/ads/\n")
    assert list(UrlConfig(name="url", blocked_domains=str(path)).notes()) == [
        f"url.blocked_domains: {path}: lines that name no host and block nothing: 2, the first is line 3: "
        "'@@||c.example^'; hosts that it blocks: 2"
    ]
    path.write_text("# nothing yet\n")
    assert list(UrlConfig(name="url", blocked_domains=str(path)).notes()) == [
        f"url.blocked_domains: {path}: names no host, and blocks nothing"
    ]
    path.write_text("a.example\n")
    assert list(UrlConfig(name="url", blocked_domains=str(path)).notes()) == []
    assert list(UrlConfig(name="url").notes()) == []


@pytest.mark.real
def test_few_real_pages_count_as_adult_or_gambling(real_data: Path) -> None:
    with gzip.open(real_data / "truth/pages.jsonl.gz", "rt", encoding="utf-8") as file:
        urls = [json.loads(line)["url"] for line in file]
    found = reasons(UrlConfig(name="url", curated_sources=()), pa.record_batch({"url": urls}))
    assert sum(map(bool, found)) <= len(urls) / 1000


@pytest.mark.parametrize(
    ("blocked_domains", "text"), [(None, "only the short built-in block list"), ("a/b.txt", "The block list is b.txt;")]
)
def test_the_report_names_the_block_list_beside_the_papers(blocked_domains: str | None, text: str) -> None:
    assert text in UrlConfig(name="url", blocked_domains=blocked_domains).published_remark({}, {})
