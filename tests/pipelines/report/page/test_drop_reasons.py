"""The section on drop reasons of a run's page."""

from pathlib import Path

from pipelines.report.model import read_report_file
from pipelines.report.page.drop_reasons import drop_reasons
from pipelines.run.folder import RunFolder


def test_every_rule_stands_once_under_its_stage_in_recipe_order(run: Path) -> None:
    report = read_report_file(RunFolder(run))
    section = drop_reasons(report)
    assert [row for _, _, rows in section.by_stage for row in rows] == list(report.rules)
    assert all({(row.stage, row.kind) for row in rows} == {(stage, kind)} for stage, kind, rows in section.by_stage)
    assert section.most_dropped == max(report.dropped.values())
