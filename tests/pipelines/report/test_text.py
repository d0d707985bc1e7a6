"""`gristmill report --text` and `--json` print the values of the page, and write nothing."""

from pathlib import Path

from typer.testing import CliRunner

from pipelines.cli import app


def test_text_says_first_what_is_wrong_then_what_was_kept(run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    result = CliRunner().invoke(app, ["report", str(run), "--text"])
    assert result.exit_code == 0
    first, kept, *_ = result.stdout.splitlines()
    assert first.startswith(("alarm", "no alarms"))
    assert kept.startswith("kept  24 of 42 documents (57.1%)")
    assert "gopher_quality.too_few_words" in result.stdout
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_json_is_report_json(run: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(run), "--json"])
    assert result.stdout.encode() == (run / "report.json").read_bytes()
