"""The figures of several finished runs, each as a row over the runs; the rows that differ most come first.

report.json of each run ──▶ kept, drop reasons, stages, languages, sources: counts and shares by run
recipe.toml of each run ──▶ settings that differ
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.numbers import share
from pipelines.report.model import Report, read_report_file
from pipelines.report.several.settings import Setting, differing_settings
from pipelines.run.folder import RunFolder


@dataclass(frozen=True)
class RunFigures:
    """A run as a whole."""

    name: str  # of its folder, with as much of the path as tells it apart
    recipe: str
    fingerprint: str
    version: str
    files: int
    documents: int  # of the input
    kept: int
    characters: int | None  # kept; None without text
    words: int | None  # kept; None where no rule counts words
    alarms: int

    @property
    def kept_share(self) -> float | None:
        return share(self.kept, self.documents)


@dataclass(frozen=True)
class Row:
    """A figure in each run; None where the run has no such rule, stage or language."""

    name: str
    documents: tuple[int | None, ...]
    shares: tuple[float | None, ...]

    @property
    def spread(self) -> float:
        """The largest share less the smallest; a run without the figure counts as 0."""
        shares = [part or 0.0 for part in self.shares]
        return max(shares) - min(shares)

    @property
    def change(self) -> float:
        """The last share less the first."""
        return (self.shares[-1] or 0.0) - (self.shares[0] or 0.0)


@dataclass(frozen=True)
class SeveralRuns:
    runs: tuple[RunFigures, ...]
    kept: tuple[Row, ...]  # one row: kept documents, of the input
    reasons: tuple[Row, ...]  # documents by first drop reason, of the input
    stages: tuple[Row, ...]  # documents left after each stage, of the input
    languages: tuple[Row, ...]  # documents by language, of those whose language was identified
    languages_kept: tuple[Row, ...]  # kept documents of each language, of its documents
    sources_kept: tuple[Row, ...]  # kept documents of each source, of its documents
    settings: tuple[Setting, ...]


def figures_of(paths: Sequence[Path]) -> SeveralRuns:
    """The figures of finished runs, in the order of `paths`; RunError where a report cannot be read."""
    folders = [RunFolder(path) for path in paths]
    for folder in folders:
        folder.require_done()
    reports = [read_report_file(folder) for folder in folders]
    inputs = [report.documents.input for report in reports]
    languages = [{row.language: row for row in report.languages} for report in reports]
    sources = [{row.source: row for row in report.sources} for report in reports]
    identified = [sum(row.documents for row in of_run.values()) for of_run in languages]
    return SeveralRuns(
        tuple(_run(name, report) for name, report in zip(_names(paths), reports, strict=True)),
        _rows([{"kept": report.documents.kept} for report in reports], lambda run, _: inputs[run]),
        _rows([_dropped(report) for report in reports], lambda run, _: inputs[run]),
        _rows([{stage.stage: stage.documents for stage in r.funnel} for r in reports], lambda run, _: inputs[run]),
        _rows(
            [{n: row.documents for n, row in of_run.items()} for of_run in languages], lambda run, _: identified[run]
        ),
        _rows([{n: row.kept for n, row in of.items()} for of in languages], lambda run, n: languages[run][n].documents),
        _rows([{n: row.kept for n, row in of.items()} for of in sources], lambda run, n: sources[run][n].documents),
        tuple(differing_settings([folder.recipe() for folder in folders])),
    )


def _run(name: str, report: Report) -> RunFigures:
    return RunFigures(
        name=name,
        recipe=report.recipe,
        fingerprint=report.fingerprint,
        version=report.version,
        files=report.inputs.files,
        documents=report.documents.input,
        kept=report.documents.kept,
        characters=report.funnel[-1].characters if report.funnel else None,
        words=report.kept_words,
        alarms=len(report.alarms),
    )


def _dropped(report: Report) -> dict[str, int]:
    """Documents by first drop reason; rules that drop none have 0."""
    return {row.reason: row.dropped for row in report.rules} | dict(report.dropped)


def _rows(counts: Sequence[Mapping[str, int]], whole: Callable[[int, str], int]) -> tuple[Row, ...]:
    """A row for each name, the largest spread first; `whole` is what the count of a run and a name is a part of."""
    names = dict.fromkeys(name for of_run in counts for name in of_run)
    rows = [
        Row(
            name,
            tuple(of_run.get(name) for of_run in counts),
            tuple(
                share(of_run[name], whole(run, name)) if name in of_run else None for run, of_run in enumerate(counts)
            ),
        )
        for name in names
    ]
    return tuple(sorted(rows, key=lambda row: -row.spread))


def _names(paths: Sequence[Path]) -> list[str]:
    """The last parts of the paths, as many as tell them apart."""
    parts = [path.resolve().parts for path in paths]
    for number in range(1, max(map(len, parts)) + 1):
        names = ["/".join(of_path[-number:]) for of_path in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{number}: {path}" for number, path in enumerate(paths, 1)]  # one run, named twice
