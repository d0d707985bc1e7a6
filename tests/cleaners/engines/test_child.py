import subprocess

import pytest
from crawl import SENTENCES, article

from cleaners.engines import child
from cleaners.engines.child import ExtractionChild, Killed
from shards.errors import RunError


def test_a_hanging_page_is_killed_by_the_kernel_and_the_next_one_is_extracted() -> None:
    """A page that takes seconds, and a limit of a twentieth of one."""
    child_process = ExtractionChild("trafilatura", "balanced", cpu_seconds=0.05)
    child_process.send(article("Long", SENTENCES * 5_000).replace(". ", ".</p><p class='x'>").encode(), "")
    with pytest.raises(Killed, match="cpu_time"):
        child_process.receive()
    child_process.close()
    healthy = ExtractionChild("trafilatura", "balanced")
    healthy.send(article("After").encode(), "")
    assert SENTENCES[0] in healthy.receive()[0]
    healthy.close()


def test_a_child_is_renewed_after_its_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "PAGES_PER_CHILD", 2)
    process = ExtractionChild("resiliparse", "balanced")
    pids = []
    for _ in range(5):
        process.send(article("x").encode(), "")
        process.receive()
        assert process._process is not None
        pids.append(process._process.pid)
    process.close()
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4]


def test_an_engine_that_is_not_installed_ends_the_run_and_drops_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    process = ExtractionChild("resiliparse", "balanced")
    real = subprocess.Popen

    def without_resiliparse(command: list[str], **pipes: int) -> subprocess.Popen[bytes]:
        hidden = "import sys; sys.modules['resiliparse.extract.html2text'] = None"
        serve = "from cleaners.engines.child import _serve"
        call = "_serve('resiliparse', 'balanced', False, 30.0, __import__('os').getppid())"
        return real(
            [command[0], "-c", f"{hidden}; {serve}; {call}"],
            **pipes,
        )

    monkeypatch.setattr(subprocess, "Popen", without_resiliparse)
    process.send(b"<p>x</p>", "")
    with pytest.raises(RunError, match="the extraction engine resiliparse does not start: ModuleNotFoundError"):
        process.receive()
