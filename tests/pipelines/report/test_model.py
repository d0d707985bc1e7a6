"""`report.json` as types: what is written is read back, and nothing else is."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.report.model import Documents, differing, read_report_file, to_json
from pipelines.run.folder import RunFolder
from shards.errors import RunError


def broken(folder: Path, found: dict[str, Any], change: Any) -> RunFolder:
    """A folder with a report that `change` has edited."""
    values = json.loads(json.dumps(found))
    change(values)
    (folder / "report.json").write_text(json.dumps(values))
    return RunFolder(folder)


def test_a_report_that_is_read_is_written_as_it_was(run: Path) -> None:
    report = read_report_file(RunFolder(run))
    assert to_json(report) == (run / "report.json").read_text()


def test_keys_have_their_public_names(found: dict[str, Any]) -> None:
    assert list(found)[:9] == [
        "schema_version", "documents", "dropped", "failed", "records", "bodies", "damage", "funnel", "units",
    ]  # fmt: skip
    assert "contamination" not in found
    assert list(found["duplicates"]["sizes"][0]) == ["from", "to", "groups", "documents", "characters"]
    assert found["duplicates"]["sources"][0]["source"] == "web"
    assert "domain" in found["duplicates"]["domains"][0]


def test_a_list_of_numbers_takes_one_line(run: Path) -> None:
    lines = (run / "report.json").read_text().splitlines()
    assert any(line.strip().startswith('"kept": [') and line.endswith("],") for line in lines)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda values: values["documents"].update(kept="7"), "documents.kept"),
        (lambda values: values["documents"].update(kept=7.5), "documents.kept"),
        (lambda values: values.pop("funnel"), "funnel"),
        (lambda values: values["rules"][2].pop("alone"), r"rules\.2\.alone"),
        (lambda values: values.update(schema_version=2), "schema_version"),
        (lambda values: values.update(surplus=1), "surplus"),
        (lambda values: values["duplicates"]["sizes"][0].pop("from"), r"duplicates\.sizes\.0\.from"),
    ],
)
def test_another_file_is_refused_by_its_key_and_with_the_remedy(
    tmp_path: Path, found: dict[str, Any], change: Any, key: str
) -> None:
    with pytest.raises(
        RunError, match=rf"report\.json: not a report: {key}: .*`gristmill report {tmp_path}` writes it"
    ):
        read_report_file(broken(tmp_path, found, change))


@pytest.mark.parametrize("text", ["", "[]", "3", "{", "{}"])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(RunError, match=r"report\.json: not a report: .* writes it anew"):
        read_report_file(RunFolder(tmp_path))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"report\.json: not readable \(No such file or directory\)"):
        read_report_file(RunFolder(tmp_path))


def test_reports_differ_in_the_keys_of_the_summary(run: Path) -> None:
    report = read_report_file(RunFolder(run))
    assert differing(report, report) == []
    changed = replace(report, documents=Documents(1, 1), units=9, recipe="other")
    assert differing(report, changed) == ["documents", "units"]


def test_a_value_of_the_wrong_type_is_not_written(run: Path) -> None:
    report = replace(read_report_file(RunFolder(run)), units="nine")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="units"):
        to_json(report)
