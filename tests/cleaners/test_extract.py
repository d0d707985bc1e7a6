import json
import os
import signal
import time
from pathlib import Path

import pyarrow as pa
import pytest
from crawl import SENTENCES, article

from cleaners.crawl.warc import WarcReader
from cleaners.engines.child import ExtractionChild
from cleaners.extract import ExtractConfig
from shards.schema import PAYLOAD, PROVENANCE, TEXT
from shards.stage import Batch
from shards.storage import find_inputs

SCHEMA = pa.schema([*PROVENANCE, TEXT, *PAYLOAD])


def batch(*pages: str | bytes | None, texts: list[str] | None = None) -> Batch:
    rows = []
    for i, page in enumerate(pages):
        payload = page.encode() if isinstance(page, str) else page
        rows.append(
            {
                "id": f"{i:032x}",
                "url": f"https://example.org/{i}",
                "payload": payload,
                "text": (texts or [None] * 99)[i],
            }
        )
    return pa.RecordBatch.from_pylist(rows, SCHEMA)


def test_texts_of_the_real_child_are_in_order() -> None:
    stage = ExtractConfig().build()
    done = stage(
        batch(article("One"), article("Two", SENTENCES[:4]), None, article("Three"), texts=["", "", "given", ""])
    )
    texts = done["text"].to_pylist()
    assert [SENTENCES[0] in t for t in texts] == [True, True, False, True]
    assert [SENTENCES[7] in t for t in texts] == [True, False, False, True]
    assert texts[2] == "given"
    assert "Imprint" not in texts[0]
    assert done["extract.killed"].to_pylist() == [0, 0, None, 0]
    assert done["extract.num_chars"].to_pylist() == [len(t) for t in texts]
    assert {f.name: f.type for f in ExtractConfig().columns()}.items() <= {f.name: f.type for f in done.schema}.items()


def test_a_killed_page_is_journalled_and_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = ExtractConfig().build_in(tmp_path / "kills.jsonl")
    deaths = 0
    send = ExtractionChild.send

    def send_and_die(self: ExtractionChild, html: bytes, url: str, date: str = "") -> None:
        """The second page's child is killed from outside, as the kernel would."""
        nonlocal deaths
        if not url.endswith("/1"):
            return send(self, html, url, date)
        deaths += 1
        if self._process is None:
            self._start()
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        send(self, html, url)
        os.kill(self._process.pid, signal.SIGKILL)

    monkeypatch.setattr(ExtractionChild, "send", send_and_die)
    pages = batch(article("One"), article("Two"), article("Three"))
    first = stage(pages)
    assert first["extract.killed"].to_pylist() == [0, 1, 0]
    assert deaths == 2, "tried once more, alone"
    (entry,) = map(json.loads, (tmp_path / "kills.jsonl").read_text().splitlines())
    assert entry == {"id": f"{1:032x}", "url": "https://example.org/1", "reason": "extract.killed", "cause": "memory"}

    monkeypatch.undo()
    again = ExtractConfig().build_in(tmp_path / "kills.jsonl")(pages)
    assert again.equals(first), "a rerun takes the kill from the journal, though this time nothing would kill it"


DATED = """<html><head><title>The mill |  Valley News</title><meta property="og:title" content="The mill of the valley">
<meta property="article:published_time" content="2019-05-04T10:00:00Z"></head><body><article><p>{}</p></article></body>
</html>"""


def dated_batch(dates: list[str | None]) -> Batch:
    html = DATED.format(" ".join(SENTENCES)).encode()
    rows = [{"id": f"{i:032x}", "url": "https://example.org/", "payload": html, "date": d} for i, d in enumerate(dates)]
    return pa.RecordBatch.from_pylist(rows, SCHEMA)


@pytest.mark.parametrize("engine", ["trafilatura", "resiliparse"])
def test_with_metadata_title_and_date_go_along_with_the_text(engine: str) -> None:
    config = ExtractConfig(engine=engine, metadata=True)
    dates = ["2024-01-01T00:00:00Z", "2019-05-04T09:00:00Z", "2018-05-03T23:59:59Z", "", None, "2024-99-99"]
    done = config.build()(dated_batch(dates))
    assert set(done["title"].to_pylist()) == {"The mill of the valley"}
    # A page's date is never after its record's. A record without a date gives none to its page.
    assert done["page_date"].to_pylist() == ["2019-05-04", "2019-05-04", None, None, None, None]
    assert config.carried().names == ["title", "page_date"]
    plain = ExtractConfig(engine=engine)
    assert plain.carried().names == []
    assert plain.build()(dated_batch(dates))["text"].equals(done["text"])


def test_a_page_without_title_and_rows_that_bring_their_text_have_no_metadata() -> None:
    done = ExtractConfig(metadata=True).build()(batch("", "<p>x</p>", None, texts=[None, None, "given"]))
    assert done["title"].to_pylist() == [None, None, None]
    assert done["page_date"].to_pylist() == [None, None, None]


@pytest.mark.real
def test_no_real_page_is_dated_after_its_record(real_data: Path) -> None:
    (file,) = find_inputs([str(real_data / "crawl/part-03.warc.gz")], (), "x")
    pages = next(iter(WarcReader("web", file, 0))).slice(0, 60)
    done = ExtractConfig(engine="resiliparse", metadata=True).build()(pages)
    dated = [(d, r) for d, r in zip(done["page_date"].to_pylist(), done["date"].to_pylist(), strict=True) if d]
    assert len(dated) > 20
    assert all(date <= record[:10] for date, record in dated)
    assert done["title"].null_count < 10


def test_a_journal_line_that_a_kill_cut_is_not_an_entry(tmp_path: Path) -> None:
    (tmp_path / "kills.jsonl").write_bytes(b'{"id": "' + b"0" * 32 + b'", "url": ""}\n{"id": "00')
    done = ExtractConfig(engine="resiliparse").build_in(tmp_path / "kills.jsonl")(batch(article("One"), article("Two")))
    assert done["extract.killed"].to_pylist() == [1, 0]


def test_bombs_are_refused_before_the_child_sees_them() -> None:
    config = ExtractConfig()
    nested = "<div>" * 5_000_000
    wide = "<i>x</i>" * 250_000
    began = time.process_time()
    done = config.build()(batch(nested, wide))
    assert time.process_time() - began < 20
    assert done["extract.depth"].to_pylist()[0] == 5_000_000 > config.max_depth
    assert done["extract.num_elements"].to_pylist()[1] == 250_000 > config.max_elements
    assert done["text"].to_pylist() == [None, None]
