"""A summary says what its manifests say, and nothing where it is not whole."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.run.summaries import Stamp, Summary
from shards.manifest import Link, Manifest, WrittenFile
from shards.stats import Stats

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
COUNTS = st.integers(-(2**53) + 1, 2**53 - 1)
OFFSETS = st.integers(0, 2**62)
DAMAGE: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries({"file": TEXTS, "offset": OFFSETS, "cause": TEXTS})
MANIFESTS = st.lists(
    st.builds(
        Manifest,
        key=TEXTS,
        source=TEXTS,
        file=TEXTS,
        start=OFFSETS,
        next_start=st.none() | OFFSETS,
        fingerprint=TEXTS,
        stats=st.dictionaries(st.sampled_from(["documents/input", "dropped/a.b", "records/ü", ""]), COUNTS),
        damage=st.lists(DAMAGE, max_size=2),
        files=st.dictionaries(TEXTS, st.builds(WrittenFile, OFFSETS, OFFSETS, TEXTS), max_size=2),
        recipe=TEXTS,
        schema_version=st.integers(1, 3),
    ),
    max_size=6,
    unique_by=lambda manifest: manifest.key,
)


def manifest(number: int, **fields: Any) -> Manifest:
    key = f"web-{number:05d}-000"
    usual = {"fingerprint": "d", "stats": {"documents/input": number}, "damage": [], "files": {}, "recipe": "r"}
    return Manifest(key, "web", f"{number}.warc", 0, None, **usual | fields)


def stamps(manifests: list[Manifest]) -> list[Stamp]:
    return [Stamp(1000 + number, f"{number}-7") for number in range(len(manifests))]


@settings(max_examples=50)
@given(MANIFESTS)
def test_manifests_come_back_as_they_were_with_their_sum_and_their_links(manifests: list[Manifest]) -> None:
    written = Summary.of(manifests, stamps(manifests))
    read = Summary.parse(written.to_bytes())
    assert list(read.manifests()) == manifests
    assert read.keys() == [m.key for m in manifests]
    assert list(read.links()) == [Link(m.key, m.source, m.file, m.start, m.next_start) for m in manifests]
    assert read.stats() == Stats.sum(Stats.from_json(m.stats) for m in manifests)
    assert list(read.damaged()) == [m for m in manifests if m.damage]
    assert written.to_bytes() == Summary.of(manifests, stamps(manifests)).to_bytes()


@settings(max_examples=50)
@given(MANIFESTS, st.data())
def test_a_row_counts_while_its_manifest_has_the_stamp_that_it_had(
    manifests: list[Manifest], data: st.DataObject
) -> None:
    now = dict(zip((m.key for m in manifests), stamps(manifests), strict=True))
    same = [m for m in manifests if data.draw(st.booleans())]
    for changed in (m.key for m in manifests if m not in same):
        num_bytes, tag = now[changed]
        other = data.draw(st.sampled_from([Stamp(num_bytes + 1, tag), Stamp(num_bytes, tag + "0"), None]))
        now = {key: stamp for key, stamp in (now | {changed: other}).items() if stamp is not None}
    left = Summary.of(manifests, stamps(manifests)).unchanged(now | {"other": Stamp(1, "1")})
    assert list(left.manifests()) == same
    assert left.stats() == Stats.sum(Stats.from_json(m.stats) for m in same)


@settings(max_examples=50)
@given(st.data())
def test_bytes_that_are_no_whole_summary_are_one_of_nothing(data: st.DataObject) -> None:
    manifests = [manifest(number) for number in range(3)]
    whole = bytearray(Summary.of(manifests, stamps(manifests)).to_bytes())
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytes([*whole[:at], whole[at] ^ data.draw(st.integers(1, 255)), *whole[at + 1 :]])
    for broken in (whole[:at], changed, data.draw(st.binary())):
        summary = Summary.parse(bytes(broken))
        assert summary.keys() == list(summary.manifests()) == list(summary.links()) == []
        assert summary.stats() == Stats()


def test_a_recipe_that_all_units_share_is_stored_once() -> None:
    sizes = []
    for recipe in ("r", "the whole recipe " * 400):
        manifests = [manifest(number, recipe=recipe) for number in range(100)]
        sizes.append(len(Summary.of(manifests, stamps(manifests)).to_bytes()))
    assert sizes[1] - sizes[0] < 7_000


def test_a_count_that_no_unit_has_is_refused_where_a_sum_could_overflow() -> None:
    with pytest.raises(OverflowError):
        Summary.of([manifest(0, stats={"documents/input": 2**70})], [Stamp(1, "1")])
