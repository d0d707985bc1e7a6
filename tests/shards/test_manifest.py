import json
from dataclasses import replace
from pathlib import Path

import pytest

from shards.errors import RunError, UserError
from shards.manifest import Chains, Manifest, MissingUnit, WrittenFile, check_shards, read_manifest, write_manifest

INPUTS = ["web/00000/a.warc.gz", "web/00001/b.warc.gz"]


def unit(key: str, file: str, start: int, next_start: int | None) -> Manifest:
    return Manifest(key, "web", file, start, next_start, "digest", {"documents": 2**70}, [], {})


UNITS = [
    unit("web-00000-000", "a.warc.gz", 0, 500),
    unit("web-00000-001", "a.warc.gz", 500, 900),
    unit("web-00000-002", "a.warc.gz", 900, None),
    unit("web-00001-000", "b.warc.gz", 0, None),
]


def test_a_manifest_comes_back_from_its_file(tmp_path: Path) -> None:
    manifest = replace(UNITS[0], files={"a.arrow": WrittenFile(3, 100, "0" * 64)}, damage=[{"file": "a", "offset": 7}])
    write_manifest(tmp_path / "a.json", manifest)
    assert read_manifest(tmp_path / "a.json") == manifest


@pytest.mark.parametrize("content", [None, "", "{}", '{"key": 5}', "[]"])
def test_anything_else_is_not_a_manifest(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "a.json").write_text(content)
    with pytest.raises(RunError, match=r"a\.json: not a manifest \(.*\); delete it") as error:
        read_manifest(tmp_path / "a.json")
    assert "\n" not in str(error.value)


def test_chains_are_whole_where_every_unit_begins_at_the_end_of_the_one_before() -> None:
    chains = Chains.of(INPUTS, reversed(UNITS))
    assert chains.units == {manifest.key for manifest in UNITS}
    assert chains.missing == ()


@pytest.mark.parametrize(
    ("units", "linked", "missing"),
    [
        (UNITS[1:], [3], "web-00000-000"),
        ([UNITS[0], *UNITS[2:]], [0, 3], "web-00000-001"),
        ([UNITS[0], replace(UNITS[1], start=501), *UNITS[2:]], [0, 3], "web-00000-001"),
        ([UNITS[0], replace(UNITS[1], file="c.warc.gz"), *UNITS[2:]], [0, 3], "web-00000-001"),
    ],
)
def test_a_broken_chain_names_the_first_unit_that_it_lacks(
    units: list[Manifest], linked: list[int], missing: str
) -> None:
    chains = Chains.of(INPUTS, units)
    assert chains.units == {UNITS[i].key for i in linked}
    assert chains.missing == (MissingUnit("web", missing, "a.warc.gz"),)


def test_a_folder_of_shards_that_lacks_one_or_has_a_shorter_one_is_refused(tmp_path: Path) -> None:
    shard, manifest = tmp_path / "web-00000-000.arrow", tmp_path / "web-00000-000.json"
    shard.write_bytes(b"x" * 1000)
    write_manifest(manifest, replace(UNITS[0], files={f"shards/web/{shard.name}": WrittenFile(3, 1000, "0" * 64)}))
    (tmp_path / "other.json").write_text(json.dumps({"of": "another program"}))
    check_shards([str(tmp_path), "s3://bucket/shards", str(shard)], "source.web.paths")
    shard.write_bytes(b"x" * 999)
    with pytest.raises(
        UserError, match=r"^source\.web\.paths: .*000\.arrow: 999 bytes, where its manifest says 1,000; put"
    ):
        check_shards([str(tmp_path)], "source.web.paths")
    shard.unlink()
    with pytest.raises(UserError, match=r"000\.arrow: missing; put it back"):
        check_shards([str(tmp_path)], "source.web.paths")
