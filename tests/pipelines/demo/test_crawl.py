"""The demo's crawl is always the same, and every record of it is read."""

import os
import subprocess
import sys
from pathlib import Path

from cleaners.crawl.warc import WarcReader
from pipelines.demo.crawl import Page, planted, warc
from shards.schema import KEPT
from shards.storage import find_inputs

_DIGEST = """
import hashlib
from pipelines.demo.crawl import manual_pages, planted, warc
from pipelines.demo.docs import language_pages, library_pages
manuals = [*language_pages(), *library_pages("rich")]
pages = [*(p.page for p in planted()), *manual_pages("manual.example", manuals)]
print(hashlib.sha256(warc("all", pages)).hexdigest(), len(pages))
"""


def test_the_crawl_has_the_same_bytes_in_every_process() -> None:
    def digest(seed: str) -> str:
        environment = os.environ | {"PYTHONHASHSEED": seed}
        return subprocess.run(
            [sys.executable, "-c", _DIGEST], env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert digest("1") == digest("2")


def test_planted_pages_show_every_kind_of_stage() -> None:
    stages = {p.ends.partition(".")[0] for p in planted()}
    assert stages == {KEPT, "url", "page", "extract", "language", "gopher_repetition", "gopher_quality", "dedup"}
    assert {"dedup.url", "dedup.near", "dedup.same_record"} <= {p.ends for p in planted()}


def test_every_record_of_the_crawl_is_read_or_counted(tmp_path: Path) -> None:
    pages = [Page("https://a.example/", b"<html>one</html>"), Page("https://b.example/", b"", kind="revisit")]
    (tmp_path / "a.warc.gz").write_bytes(warc("a", pages))
    ((file,),) = [find_inputs((str(tmp_path / "a.warc.gz"),), (".warc.gz",), "source.web.paths")]
    reader = WarcReader("web", file, 0)
    rows = [row for batch in reader for row in batch.to_pylist()]
    assert [(row["url"], row["record_type"], row["http_status"]) for row in rows] == [
        ("https://a.example/", "response", 200),
        ("https://b.example/", "revisit", 200),
    ]
    assert reader.stats.below("records") == {"metadata": 2, "request": 2, "warcinfo": 1}
    assert not reader.damage
