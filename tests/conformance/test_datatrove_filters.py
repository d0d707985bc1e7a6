"""datatrove's own filters with our words and sentences in them: with `compat = "datatrove"` nothing differs.

Needs `make bench-peers` and GRISTMILL_REAL_DATA, and skips without either of them.
"""

import math
import re
from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks.conformance import Case, Document, documents, measure, peers_verdicts, stages
from benchmarks.rows import PEERS
from cleaners.pii import PiiConfig
from pipelines.core import failing
from shards.stage import Rule

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PEERS.exists(), reason="datatrove is not installed; `make bench-peers` installs it"),
]

LEAST_DOCUMENTS = 1000
LEAST_EQUAL = 0.999
LEAST_EQUAL_PII = 0.97
# Rules that datatrove does not have in these filters.
NOT_THEIRS = {"c4.bad_word"}
WITHOUT_THRESHOLD = {"c4.lorem_ipsum", "c4.curly_bracket"}


def rules_of(language: str) -> dict[str, Rule]:
    rules = {rule.reason: rule for config in stages(language, compat=True) for rule in config.rules()}
    return {reason: rule for reason, rule in rules.items() if reason not in NOT_THEIRS}


@pytest.fixture(scope="module")
def pages(real_data: Path) -> list[Document]:
    return documents(real_data)


@pytest.fixture(scope="module")
def measured(pages: list[Document]) -> dict[str, list[object]]:
    """Our metrics with datatrove's formulas, by name, in the order of the pages."""
    columns: dict[str, list[object]] = {}
    for language in dict.fromkeys(page.language for page in pages):
        texts = [page.text for page in pages if page.language == language]
        for name, values in measure(texts, stages(language, compat=True)).items():
            columns.setdefault(name, []).extend(values.to_pylist())
    return columns


def test_each_rule_gives_the_verdicts_of_datatrove_on_real_pages(
    pages: list[Document], measured: dict[str, list[object]]
) -> None:
    cases, ours = [], []
    for number, page in enumerate(pages):
        for reason, rule in rules_of(page.language).items():
            threshold = rule.min_kept if rule.min_kept is not None else rule.max_kept
            cases.append(Case(number, reason, threshold))
            ours.append(bool(failing(pa.array([measured[rule.metric][number]]), rule)[0]))
    theirs, texts = peers_verdicts(pages, cases, our_words=True)

    assert len(pages) >= LEAST_DOCUMENTS
    assert None not in theirs
    by_rule: dict[str, list[bool]] = {}
    for case, drops, expected in zip(cases, ours, theirs, strict=True):
        by_rule.setdefault(case.rule, []).append(drops == expected)
    equal = {rule: sum(same) / len(same) for rule, same in by_rule.items()}
    assert min(equal.values()) >= LEAST_EQUAL, equal
    dropping = {case.rule for case, drops in zip(cases, theirs, strict=True) if drops}
    assert len(dropping) >= 25, sorted(set(by_rule) - dropping)
    assert [text["c4_text"] for text in texts] == measured["c4.text"]


def test_each_metric_is_that_of_datatrove_to_the_last_bit(
    pages: list[Document], measured: dict[str, list[object]]
) -> None:
    """A threshold equal to the metric keeps the page, and the next number beyond it drops the page."""
    some = range(0, len(pages), 5)
    cases, expected = [], []
    for index, number in enumerate(some):
        for reason, rule in rules_of(pages[number].language).items():
            value = measured[rule.metric][number]
            if reason in WITHOUT_THRESHOLD or value is None:
                continue
            beyond = _beyond(value, upwards=rule.min_kept is not None)
            for threshold, drops in ((value, False), (beyond, True)):
                if threshold or not drops:  # datatrove treats a threshold of 0 as none
                    cases.append(Case(index, reason, threshold))
                    expected.append(drops)
    theirs, _ = peers_verdicts([pages[number] for number in some], cases, our_words=True)

    different = [case for case, drops, other in zip(cases, expected, theirs, strict=True) if drops != other]
    assert len(cases) > 10_000
    assert different == []


def test_personal_data_is_replaced_as_by_datatrove_on_real_pages(pages: list[Document]) -> None:
    """Except for addresses that can belong to nobody, and those directly after an ideograph: docs/divergences.md."""
    address = re.compile(r"@|[0-9]\.[0-9]+\.[0-9]+\.[0-9]")
    some = [page for page in pages if address.search(page.text) and "example" not in page.text]
    some = [page for page in some if page.language != "zh"]
    _, texts = peers_verdicts(some, [], our_words=True)
    theirs = [text["pii"] for text in texts]
    addresses = ("22.214.171.124", "126.96.36.199", "188.8.131.52", "184.108.40.206", "220.127.116.11", "18.104.22.168")
    replace = PiiConfig(name="pii", ipv4_replacements=addresses).build()
    batch = pa.record_batch({"text": pa.array([page.text for page in some], pa.large_string())})
    ours = replace(batch)["text"].to_pylist()

    assert sum(text != page.text for text, page in zip(theirs, some, strict=True)) > 30
    assert sum(a == b for a, b in zip(ours, theirs, strict=True)) / len(some) >= LEAST_EQUAL_PII


def _beyond(value: object, *, upwards: bool) -> float | int:
    if isinstance(value, int):
        return value + 1 if upwards else value - 1
    assert isinstance(value, float)
    return math.nextafter(value, math.inf if upwards else -math.inf)
