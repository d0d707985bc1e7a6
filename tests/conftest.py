"""What all tests share: the real data, the language model, and a rule against silent skips."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from s3_server import Proxy

# Before any test imports torch, which reads it: trained models are too small for more, and a training in a process of
# its own must add its sums in the same order as one in this process.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The first example of a property may compile a kernel.
settings.register_profile("kernels", deadline=None, derandomize="GRISTMILL_SAME_DRAWS" in os.environ)
settings.load_profile("kernels")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real crawls and texts that GRISTMILL_REAL_DATA names."""
    folder = os.environ.get("GRISTMILL_REAL_DATA")
    if not folder:
        pytest.skip("GRISTMILL_REAL_DATA is not set")
    return Path(folder)


@pytest.fixture(scope="session")
def language_model() -> Path:
    from cleaners.language_model import fetch_language_model, language_model_path, language_model_target
    from shards.errors import UserError

    try:
        return language_model_path()
    except UserError:
        fetch_language_model(language_model_target())
        return language_model_path()


@pytest.fixture(scope="session")
def moto_server() -> Iterator[tuple[str, int]]:
    """The address of a real S3 server."""
    from s3_server import moto

    with moto() as server:
        yield server


@pytest.fixture
def s3(moto_server: tuple[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["Proxy"]:
    """The server behind a proxy, which this process finds; `s3.folder` is a URL that no other test has."""
    from s3_server import behind_proxy, use

    with behind_proxy(moto_server) as proxy:
        proxy.folder = f"s3://bucket/{tmp_path.name}"
        use(proxy, monkeypatch)
        monkeypatch.setenv("GRISTMILL_SCRATCH", str(tmp_path / "scratch"))
        yield proxy


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where the real data are at hand, a real-data test that skips has failed."""
    report = yield
    if report.skipped and "real" in item.keywords and os.environ.get("GRISTMILL_REAL_DATA"):
        report.outcome = "failed"
        report.longrepr = f"skipped although GRISTMILL_REAL_DATA is set: {report.longrepr}"
    return report


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", action="store_true", help="write the golden file anew")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the counts of faults, as rows of the table in docs/reliability.md."""
    if (runs := sys.modules.get("fault_runs")) is None:
        return
    counts, today = runs.all_faults, time.strftime("%Y-%m-%d")
    for fault, times in sorted(counts.injected.items()):
        terminalreporter.write_line(f"| {fault} | {times} | {counts.survived[fault]} | {today} |")
