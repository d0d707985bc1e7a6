"""A source of a recipe: files of one kind, and the rows of them that a run reads."""

import re
from typing import Literal, Self

from pydantic import Field, model_validator

from shards.config import Config
from shards.where import Wanted

_PACKED = ("", ".gz", ".zst", ".zstd", ".xz", ".bz2", ".lz4")
_SNAPSHOT = re.compile(r"CC-MAIN-\d{4}-\d{2}(?!\d)")


class SourceConfig(Config):
    """`[source.<name>]` of a recipe."""

    kind: Literal["warc", "wet", "index", "shards", "jsonl", "parquet", "text"]

    paths: tuple[str, ...] = ()
    """Files, folders, globs, URLs and path lists, as `shards.storage.find_inputs` takes them, without hidden files."""

    snapshot: str = Field("", pattern=r"^[A-Za-z0-9_-]*$")
    """Name of the crawl that all files belong to. Without one it is read from their names."""

    where: dict[str, Wanted] = Field(default_factory=dict)
    """column = value, several values, or a match, as `shards.where` takes them. Other rows are counted and not read."""

    text: str = "text"
    """Column of the text, in files of rows; so are the next three."""

    id: str = "id"
    url: str = "url"
    date: str = "date"

    root: str = ""
    """Of kind "index": the URL, `s3://` prefix or folder below which its file names begin. "" is Common Crawl's."""

    requests_per_second: float | None = Field(None, gt=0)
    """Of kind "index": requests that all processes of a machine send to the host of `root` together; None is 50."""

    @model_validator(mode="after")
    def _check_index(self) -> Self:
        if self.kind != "index" and (self.root or self.requests_per_second is not None):
            raise ValueError('root and requests_per_second are settings of kind "index"')
        return self

    @property
    def is_crawl(self) -> bool:
        """Whether it gives a crawl's records (WARC, ARC, WET), read by `cleaners.crawl.warc`, and not rows of files."""
        return self.kind in ("warc", "wet", "index")

    @property
    def has_pages(self) -> bool:
        """Whether its records are pages, of which a stage makes text."""
        return self.kind in ("warc", "index")

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Endings, in lower case, of the files that are taken from a folder."""
        return {
            "warc": (".warc", ".warc.gz", ".warc.zst", ".warc.lz4", ".arc", ".arc.gz"),
            "wet": (".wet", ".wet.gz"),
            "index": (".parquet", *(f"{end}{packed}" for end in (".jsonl", ".csv", ".cdxj") for packed in _PACKED)),
            "shards": (".arrow",),
            "jsonl": (*(f".jsonl{packed}" for packed in _PACKED), ".json.gz"),
            "parquet": (".parquet",),
            "text": tuple(f".txt{packed}" for packed in _PACKED),
        }[self.kind]

    def snapshot_of(self, source: str, file: str) -> str:
        """The snapshot of the rows of `file`: the configured one, or Common Crawl's name in its path, or `source`."""
        in_path = _SNAPSHOT.search(file)
        return self.snapshot or (in_path[0] if in_path else source)
