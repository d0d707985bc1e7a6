"""A finished run, served, and the same with URLs and texts that try to get out of the page."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from crawl import Crawl, article, sentences
from ledger_runs import make_crawl, make_run

from pipelines.serve.server import RunServer, served

HOSTILE = "https://evil.example/<script>document.title='owned'</script>\"onmouseover=alert(1)"


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("serve")
    return make_run(folder / "run", make_crawl(folder / "crawl"))


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    crawl = Crawl()
    text = ["&lt;script&gt;document.title='owned'&lt;/script&gt; \u202egnp.exe", *sentences(1)]
    crawl.page(HOSTILE, article("Evil", text))
    crawl.page("javascript:document.title='owned'", article("Link", sentences(2)))
    crawl.page("data:text/html,<script>document.title='owned'</script>", article("Data", sentences(3)))
    return make_run(folder / "run", crawl.write(folder / "crawl" / "a.warc.gz").parent)


@pytest.fixture
def server(run: Path) -> Iterator[RunServer]:
    yield from _serving(run)


@pytest.fixture
def hostile_server(hostile: Path) -> Iterator[RunServer]:
    yield from _serving(hostile)


def _serving(run: Path) -> Iterator[RunServer]:
    with served(run) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()
