from pathlib import Path

import pytest

from pretrain.metrics import MetricsFile, Record, read_records


def test_a_torn_last_line_and_later_steps_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    progress: list[Record] = []
    with MetricsFile(path, 2, progress.append) as metrics:
        assert metrics.num_kept == 2
        metrics.append({"step": 3, "loss": 1.5})
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n{"step": 3, "loss": 1.5}\n'
    assert progress == [{"step": 3, "loss": 1.5}]


def test_lines_that_are_no_record_are_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n[2]\n{"loss": 3}\n\xff\n{"step": 5}\n{"st')
    assert read_records(path) == [{"step": 1}, {"step": 5}]
    assert [f"line={number}:" in caplog.text for number in (2, 3, 4, 6)] == [True, True, True, False]
    assert read_records(tmp_path / "missing.jsonl") == []
