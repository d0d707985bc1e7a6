"""The page's section on drop reasons: a table of all rules with a bar for each; `drop_reasons.html.j2` lays it out."""

from dataclasses import dataclass
from itertools import groupby

from pipelines.report.model import Report, RuleRow


@dataclass(frozen=True)
class DropReasons:
    by_stage: tuple[tuple[str, str, tuple[RuleRow, ...]], ...]  # (stage, kind, its rules), in recipe order
    most_dropped: int  # documents that the rule which drops most dropped first; its bar is full


def drop_reasons(report: Report) -> DropReasons:
    groups = groupby(report.rules, lambda row: (row.stage, row.kind))
    return DropReasons(
        tuple((stage, kind, tuple(rows)) for (stage, kind), rows in groups),
        max((row.dropped for row in report.rules), default=0),
    )
