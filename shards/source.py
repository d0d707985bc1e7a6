"""A source of a recipe: files of one kind, and the rows of them that a run reads."""

import re
from typing import Literal

from pydantic import Field

from shards.config import Config

_PACKED = ("", ".gz", ".zst", ".zstd", ".xz", ".bz2", ".lz4")
_SNAPSHOT = re.compile(r"CC-MAIN-\d{4}-\d{2}(?!\d)")


class SourceConfig(Config):
    """`[source.<name>]` of a recipe."""

    kind: Literal["warc", "wet", "shards", "jsonl", "parquet", "text"]

    paths: tuple[str, ...] = ()
    """Files, folders, globs, URLs and path lists, as `shards.storage.find_inputs` takes them, without hidden files."""

    snapshot: str = Field("", pattern=r"^[A-Za-z0-9_-]*$")
    """Name of the crawl that all files belong to. Without one it is read from their names."""

    where: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """column = value. Rows with another value are counted and not read."""

    text: str = "text"
    """Column of the text, in files of rows; so are the next three."""

    id: str = "id"
    url: str = "url"
    date: str = "date"

    @property
    def is_crawl(self) -> bool:
        """Whether its files are a crawl's (WARC, ARC, WET), read by `cleaners.crawl.warc`, and not files of rows."""
        return self.kind in ("warc", "wet")

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Endings, in lower case, of the files that are taken from a folder."""
        return {
            "warc": (".warc", ".warc.gz", ".warc.zst", ".warc.lz4", ".arc", ".arc.gz"),
            "wet": (".wet", ".wet.gz"),
            "shards": (".arrow",),
            "jsonl": (*(f".jsonl{packed}" for packed in _PACKED), ".json.gz"),
            "parquet": (".parquet",),
            "text": tuple(f".txt{packed}" for packed in _PACKED),
        }[self.kind]

    def snapshot_of(self, source: str, file: str) -> str:
        """The snapshot of the rows of `file`: the configured one, or Common Crawl's name in its path, or `source`."""
        in_path = _SNAPSHOT.search(file)
        return self.snapshot or (in_path[0] if in_path else source)
