"""One small run that the tests of the report share."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import CHROMIUM, DRIVER, MISSING, Browser
from report_run import make_report_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_report_run(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def found(run: Path) -> dict[str, Any]:
    """`report.json`."""
    report: dict[str, Any] = json.loads((run / "report.json").read_bytes())
    return report


@pytest.fixture(scope="session")
def html(run: Path) -> str:
    return (run / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One Chromium for all tests of pages."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip(MISSING)
    opened = Browser(tmp_path_factory.mktemp("chromium"))
    yield opened
    opened.close()
