"""The word rules of `url` against datatrove's `URLFilter`, and `textfix` against the formatters of FineWeb2.

Needs `make bench-peers` and GRISTMILL_REAL_DATA, and skips without either of them.
"""

import gzip
import itertools
import re
from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks.conformance import documents, peers_answers
from benchmarks.rows import PEERS
from cleaners.textfix import TextFixConfig
from cleaners.url import UrlConfig
from pipelines.core import failing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PEERS.exists(), reason="datatrove is not installed; `make bench-peers` installs it"),
]

# datatrove's reasons in the order of its checks, and the rules of ours.
REASONS = {
    "hard_blacklisted": "url.hard_word",
    "soft_blacklisted": "url.soft_words",
    "blacklisted_subword": "url.strict_word",
}
WORD_LISTS = {
    "strict_words": "banned_subwords.txt",
    "hard_words": "banned_words.txt",
    "soft_words": "soft_banned_words.txt",
}
LEAST_EQUAL = 0.999


@pytest.fixture(scope="module")
def url_config(tmp_path_factory: pytest.TempPathFactory) -> UrlConfig:
    """`url` with datatrove's lists of words, reduced to letters and digits as datatrove reads them."""
    folder = tmp_path_factory.mktemp("lists")
    (assets,) = PEERS.parent.parent.glob("lib/python3*/site-packages/datatrove/assets")
    for name, theirs in WORD_LISTS.items():
        lines = (assets / theirs).read_text().splitlines()
        words = sorted({re.sub("[^a-zA-Z0-9]+", "", line).lower() for line in lines if not line.startswith("#")})
        (folder / name).write_text("\n".join(words) + "\n")
    return UrlConfig(name="url", **{name: str(folder / name) for name in WORD_LISTS})


def ours(config: UrlConfig, urls: list[str]) -> list[str | None]:
    """The first rule that drops, in datatrove's order."""
    measured = config.build()(pa.record_batch({"url": pa.array(urls)}))
    rules = {rule.reason: rule for rule in config.rules()}
    drops = {reason: failing(measured[rules[reason].metric], rules[reason]) for reason in REASONS.values()}
    return [next((reason for reason, mask in drops.items() if mask[row]), None) for row in range(len(urls))]


def theirs(urls: list[str]) -> list[str | None]:
    return [REASONS.get(answer["reason"]) for answer in peers_answers([{"url": url} for url in urls])]


@pytest.fixture(scope="module")
def crawl_urls(real_data: Path) -> list[str]:
    urls = set()
    for file in sorted((real_data / "crawl").glob("*.warc.gz")):
        with gzip.open(file) as lines:
            urls |= {line[17:].strip() for line in lines if line.startswith(b"WARC-Target-URI: http")}
    return [url.decode() for url in sorted(urls)]


def test_the_words_of_real_addresses_are_judged_as_by_datatrove(url_config: UrlConfig, crawl_urls: list[str]) -> None:
    same = [a == b for a, b in zip(ours(url_config, crawl_urls), theirs(crawl_urls), strict=True)]
    assert len(same) > 2000
    assert sum(same) / len(same) >= LEAST_EQUAL, [url for url, equal in zip(crawl_urls, same, strict=True) if not equal]


def test_every_listed_word_is_found_in_an_address_as_by_datatrove(url_config: UrlConfig) -> None:
    urls = []
    for name in WORD_LISTS:
        words = Path(getattr(url_config, name)).read_text().split()
        urls += [f"http://mill.example/{word}/corn" for word in words]
        urls += [f"http://mill.example/x{word}x/corn" for word in words]
        urls += [f"http://{a}-mill.example/{b}.html" for a, b in itertools.pairwise(words)]
    verdicts = theirs(urls)
    assert {*REASONS.values(), None} == {*verdicts}
    assert ours(url_config, urls) == verdicts


@pytest.mark.parametrize(
    ("url", "here", "there"),
    [
        ("http://mill.example/Porn/", "url.hard_word", None),  # upper case
        ("http://mill.example/%70orn/", "url.hard_word", None),  # percent-encoded
        ("http://mill.example/sex/sex/", "url.soft_words", None),  # one soft word twice
    ],
)
def test_addresses_that_are_judged_differently(
    url_config: UrlConfig, url: str, here: str | None, there: str | None
) -> None:
    assert (ours(url_config, [url])[0], theirs([url])[0]) == (here, there)


TEXTS = [
    "The caf\u00c3\u00a9 | menu\n| | |\n||\n |  \n\nend",
    "|\n|\n",
    "| a | b |\n|---|\n| |",
    "&lt;p&gt; &amp; it\u00e2\u0080\u0099s\x00\x07 <b>",
    "ﬁne “quotes” ＡＢＣ\r\nx\x0b|\x0c|\x85|\u2028y",
    "",
    " \n \n",
]


def test_repaired_texts_are_those_of_the_formatters_of_fineweb2(real_data: Path) -> None:
    texts = TEXTS + [document.text for document in documents(real_data)]
    fix = TextFixConfig(name="textfix").build()
    repaired = fix(pa.record_batch({"text": pa.array(texts, pa.large_string())}))
    there = [answer["text"] for answer in peers_answers([{"repair": text} for text in texts])]
    assert sum(repaired["textfix.changed"].to_pylist()) > 50
    assert repaired["text"].to_pylist() == there
