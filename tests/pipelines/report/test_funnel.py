"""The last lines of a run."""

from pathlib import Path

import pytest

from pipelines.lines import Table
from pipelines.report import funnel


@pytest.fixture
def summed(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    counts: dict[str, object] = {
        "documents": {"input": 1, "kept": 0},
        "dropped": {"a.few": 1, "a.most": 3},
        "damage": [],
    }
    monkeypatch.setattr(funnel, "summary", lambda run: counts)
    monkeypatch.setattr(funnel, "recipe_of", lambda run: None)
    monkeypatch.setattr(funnel, "audits", lambda *_: [])
    monkeypatch.setattr(funnel, "alarm_lines", lambda run: ["alarm: of a source"])
    return counts


def test_reasons_come_by_number_then_the_documents_then_alarms(summed: dict[str, object]) -> None:
    assert list(funnel.lines(Path("run"), next_step=False)) == [
        Table(
            ("reason", "dropped", "share of input"), (("a.most", "3", "300.0%"), ("a.few", "1", "100.0%")), numbers=True
        ),
        "1 document in, 0 kept (0.0%)",
        "alarm: of a source",
    ]


def test_damage_is_named_up_to_five_files(summed: dict[str, object]) -> None:
    summed["damage"] = [{"file": f"{n}.warc.gz", "offset": n, "cause": "cut"} for n in range(6)]
    lines = [line for line in funnel.lines(Path("run")) if "damaged" in str(line)]
    assert lines[0] == "damaged: 0.warc.gz: offset 0: cut"
    assert lines[5:] == ["damaged: 1 more place, see run/report.json"]
