import pytest

from shards.errors import UserError
from shards.source import SourceConfig


def source(**values: object) -> SourceConfig:
    return SourceConfig.parse({"kind": "warc", **values}, "recipe.toml: source.web")


@pytest.mark.parametrize(
    ("kind", "is_crawl"),
    [("warc", True), ("wet", True), ("shards", False), ("jsonl", False), ("parquet", False), ("text", False)],
)
def test_every_kind_takes_files_of_its_own_from_folders_and_crawls_are_warc_and_wet(kind: str, is_crawl: bool) -> None:
    assert source(kind=kind).suffixes
    assert source(kind=kind).is_crawl == is_crawl


@pytest.mark.parametrize(
    ("snapshot", "file", "expected"),
    [
        ("", "crawl-data/CC-MAIN-2024-10/segments/1.warc.gz", "CC-MAIN-2024-10"),
        ("", "CC-MAIN-2024-105.warc.gz", "web"),
        ("", "a.warc.gz", "web"),
        ("spring", "crawl-data/CC-MAIN-2024-10/segments/1.warc.gz", "spring"),
    ],
)
def test_the_snapshot_is_the_configured_one_or_that_of_the_path_or_the_source(
    snapshot: str, file: str, expected: str
) -> None:
    assert source(snapshot=snapshot).snapshot_of("web", file) == expected


def test_a_snapshot_that_is_no_name_is_refused() -> None:
    with pytest.raises(UserError, match=r"source\.web\.snapshot: .*found 'a b'"):
        source(snapshot="a b")
