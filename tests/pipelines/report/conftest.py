"""One small run that the tests of the report share."""

import json
from pathlib import Path
from typing import Any

import pytest
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
