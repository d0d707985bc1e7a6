"""`gristmill report RUN --text`: the report for a terminal, alarms first, from the same values as the page."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from pipelines.lines import Line, Table, Titled
from pipelines.numbers import counted, duration, number, percent_of, size
from pipelines.report.findings import findings, tokens
from pipelines.report.model import Report
from pipelines.report.spent import Spent
from pipelines.run.folder import RunFolder

_RULES_SHOWN = 20
_NAMES_SHOWN = 10


def lines(path: Path, report: Report) -> Iterator[Line]:
    """The report of the run in the folder `path`."""
    run = RunFolder(path)
    spent = Spent.of(run, [stage.stage for stage in report.funnel])
    for alarm in report.alarms:
        yield Titled("alarm", alarm.text.replace(" RUN", f" {shlex.quote(str(path))}"))
    if not report.alarms:
        yield "no alarms"
    kept, read = report.documents.kept, report.documents.input
    of_text = ""
    if report.funnel and report.funnel[-1].characters is not None:
        found = tokens(report)
        of_text = f", {number(report.funnel[-1].characters)} characters, about {found.number:,} tokens ({found.rule})"
    yield Titled("kept", f"{kept:,} of {counted(read, 'document')} ({percent_of(kept, read)}){of_text}")
    yield Titled("read", f"{counted(report.inputs.files, 'file')}, {size(report.inputs.bytes)}, recipe {report.recipe}")
    if spent.wall_s is not None:
        yield Titled("took", f"{duration(spent.wall_s)}, {counted(spent.workers, 'worker')}, {spent.machine}")
    yield from findings(report, run.recipe())
    yield Table(
        ("stage", "documents", "of input", "characters"),
        tuple(
            (stage.stage, f"{stage.documents:,}", percent_of(stage.documents, read), number(stage.characters))
            for stage in report.funnel
        ),
        numbers=True,
    )
    rows = sorted((row for row in report.rules if row.dropped), key=lambda row: -row.dropped)
    yield Table(
        ("rule", "dropped first", "of input", "failed", "alone"),
        tuple(
            (row.reason, f"{row.dropped:,}", percent_of(row.dropped, read), f"{row.failed:,}", f"{row.alone:,}")
            for row in rows[:_RULES_SHOWN]
        ),
        numbers=True,
    )
    if (more := len(rows) - _RULES_SHOWN) > 0:
        yield f"{counted(more, 'more rule')} drop documents"
    yield f"{counted(len(report.rules) - len(rows), 'rule')} drop nothing first"
    if report.languages:
        yield Table(
            ("language", "documents", "kept", "share kept"),
            tuple(
                (row.language, f"{row.documents:,}", f"{row.kept:,}", percent_of(row.kept, row.documents))
                for row in report.languages[:_NAMES_SHOWN]
            ),
            numbers=True,
        )
