"""The live page: not more often than it may, and no reason to end a training."""

import logging
import time
from pathlib import Path

import pytest
from training_folder import make_training, step_record

from pipelines.report.training import live
from pipelines.report.training.live import LiveReport


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_page_is_written_once_a_minute(tmp_path: Path, clock: list[float]) -> None:
    page = make_training(tmp_path / "m") / "report.html"
    report = LiveReport(tmp_path / "m")
    written = []
    for second in range(200):
        clock[0] = 100.0 + second
        report(step_record(301))
        if page.exists():
            written.append(second)
            page.unlink()
    assert written == [60, 120, 180]


def test_a_page_that_takes_long_is_written_less_often(
    tmp_path: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(folder: Path) -> Path:
        clock[0] += 5.0
        written.append(clock[0])
        return folder

    written: list[float] = []
    monkeypatch.setattr(live, "write_training_report", slow)
    report = LiveReport(tmp_path)
    while clock[0] < 1400:
        clock[0] += 1.0
        report(step_record(1))
    assert written == [165, 670, 1175], "5 of 500 s"


def test_what_is_wrong_with_a_page_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        LiveReport(tmp_path / "none").write()
    assert "event=no_report" in caplog.text
    assert "has no train.toml" in caplog.text
