"""The demo as a whole."""

from pathlib import Path

import pytest

from pipelines.demo import run_demo
from pipelines.demo.training import TRAINING


@pytest.mark.slow
def test_the_demo_runs_to_its_end_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRAINING, "steps", 20)
    lines: list[str] = []
    run_demo(tmp_path / "demo", lines.append)
    text = "\n".join(lines)
    assert "Bits per byte" in text
    assert text.count("whole,") == 6
    for name in ("report.html", "training/tokenizer.json", "training/model/metrics.jsonl"):
        assert next((tmp_path / "demo").rglob(name)).stat().st_size > 0

    again: list[str] = []
    run_demo(tmp_path / "demo", again.append)
    assert [line for line in again if "article" in line] == [line for line in lines if "article" in line]
    assert not any(line.lstrip().startswith("step ") for line in again)
