"""Findings: what a reader should know first."""

from dataclasses import replace
from pathlib import Path

from pipelines.recipe import load_recipe
from pipelines.report.findings import findings
from pipelines.report.model import DamagedPlace, Documents, read_report_file
from pipelines.run.folder import RunFolder


def test_findings_agree_in_number(run: Path) -> None:
    recipe, report = load_recipe(str(run / "recipe.toml")), read_report_file(RunFolder(run))
    place = DamagedPlace("a.warc.gz", 0, "torn")
    assert "1 place of the input could not be read." in findings(replace(report, damage=(place,)), recipe)
    assert "2 places of the input could not be read." in findings(replace(report, damage=(place, place)), recipe)


def test_an_empty_input_has_one_finding(run: Path) -> None:
    recipe, report = load_recipe(str(run / "recipe.toml")), read_report_file(RunFolder(run))
    assert findings(replace(report, documents=Documents(0, 0)), recipe) == ["The input holds no document."]


def test_rules_of_stages_that_stop_are_not_said_to_decide_alone(run: Path) -> None:
    """Nothing else measures what `page.not_html` drops."""
    recipe, report = load_recipe(str(run / "recipe.toml")), read_report_file(RunFolder(run))
    alone = {"page.not_html": 9, "gopher_quality.too_few_words": 1}
    rules = tuple(replace(row, alone=alone.get(row.reason, 0)) for row in report.rules)
    (line,) = [line for line in findings(replace(report, rules=rules), recipe) if "decides most on its own" in line]
    assert "gopher_quality.too_few_words decides most" in line
    assert "1 document fails it" in line
