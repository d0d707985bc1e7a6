"""`gristmill report RUN --against OTHER` and `report --history RUNS`: pages, JSON, and lines for a terminal."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from pipelines.ledger.values import shown_value
from pipelines.numbers import counted, percent
from pipelines.report.page.environment import page_environment
from pipelines.report.samples import visible
from pipelines.report.several.figures import Row, SeveralRuns, figures_of
from pipelines.run.folder import RunFolder
from shards import mirror
from shards.atomic import write_bytes
from shards.errors import RunError, UserError

_SHOWN = 12  # rows on a terminal
_LEAST_SPREAD = 5e-7  # of a share that counts as a difference: shares have six digits
_WIDTH, _HEIGHT, _MARGIN = 160.0, 34.0, 5.0  # of a line over the runs

HISTORY_PAGE, HISTORY = "history.html", "history.json"


def write_against(run: Path, others: Sequence[Path]) -> tuple[Path, SeveralRuns]:
    """Write `report-against.html` and `.json` into the folder of the first run."""
    runs = figures_of([run, *others])
    folder = RunFolder(run)
    page = _render("against.html.j2", runs, skipped=())
    folder.write(RunFolder.AGAINST, _json(runs))
    folder.write(RunFolder.AGAINST_PAGE, page)
    return folder.path(RunFolder.AGAINST_PAGE), runs


def write_history(folder: Path) -> tuple[Path, SeveralRuns, tuple[str, ...]]:
    """Write `history.html` and `.json` of the finished runs in a folder, in the order of their names.

    The last part of what is returned names runs that are left out, and why. UserError where there are none.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name one that holds folders of runs")
    paths, skipped = [], []
    for path in sorted(folder.iterdir(), key=lambda path: _in_order(path.name)):
        if not path.is_dir() or not RunFolder(path).is_run():
            continue
        try:
            figures_of([path])
            paths.append(path)
        except (RunError, UserError) as error:
            skipped.append(f"{path.name} is left out: {mirror.shown(str(error))}")
    if not paths:
        why = f" ({skipped[0]})" if skipped else ""
        raise UserError(f"{folder}: holds no finished run{why}; name the folder whose folders are runs")
    runs = figures_of(paths)
    write_bytes(folder / HISTORY, _json(runs))
    write_bytes(folder / HISTORY_PAGE, _render("history.html.j2", runs, skipped=skipped))
    return folder / HISTORY_PAGE, runs, tuple(skipped)


def lines(runs: SeveralRuns) -> Iterator[str]:
    """What is kept in each run, then the drop reasons and settings that differ most."""
    letters = [f"[{number}]" for number in range(1, len(runs.runs) + 1)]
    for letter, run in zip(letters, runs.runs, strict=True):
        yield visible(f"{letter} {run.name}: {run.kept:,} of {run.documents:,} kept, {percent(run.kept_share, 2)}")
    differing = [row for row in runs.reasons if _differs(row)]
    if differing:
        yield "".join(f"{letter:>10}" for letter in letters) + "  of the input dropped by"
    for row in differing[:_SHOWN]:
        yield "".join(f"{percent(part, 2):>10}" for part in row.shares) + f"  {row.name}"
    if len(differing) > _SHOWN:
        yield f"… {counted(len(differing) - _SHOWN, 'more reason')} differ; the page has all"
    yield f"{counted(len(runs.reasons) - len(differing), 'other reason')}: the same share in all runs"
    for setting in runs.settings[:_SHOWN]:
        yield visible(f"{setting.name}: {' | '.join(map(_setting, setting.values))}")
    if len(runs.settings) > _SHOWN:
        yield f"… {counted(len(runs.settings) - _SHOWN, 'more setting')}; the page has all"


def _json(runs: SeveralRuns) -> bytes:
    return (json.dumps(asdict(runs), ensure_ascii=False, indent=1) + "\n").encode(errors="replace")


def _render(template: str, runs: SeveralRuns, *, skipped: Sequence[str]) -> bytes:
    environment = page_environment("pipelines.report.several")
    environment.filters |= {"setting": _setting, "points": points}
    environment.globals |= {"sparkline": sparkline}
    environment.tests |= {"differing": _differs}
    return environment.get_template(template).render(s=runs, skipped=skipped).encode(errors="replace")


def _differs(row: Row) -> bool:
    return row.spread >= _LEAST_SPREAD


def points(difference: float) -> str:
    """ "+1.2" for .012: points of percent."""
    return f"{100 * difference:+.2f}" if abs(difference) >= _LEAST_SPREAD else "0"


def sparkline(row: Row, names: Sequence[str]) -> Markup:
    """The shares over the runs as a line with a dot for each; no dot where a run has none."""
    shares = [part for part in row.shares if part is not None]
    low, high = min(shares, default=0.0), max(shares, default=0.0)
    step = (_WIDTH - 2 * _MARGIN) / max(1, len(row.shares) - 1)
    height, span = _HEIGHT - 2 * _MARGIN, (high - low) or 1.0
    places = [
        (_MARGIN + number * step, _MARGIN + (high - part) / span * height, f"{name}: {percent(part, 2)}")
        for number, (part, name) in enumerate(zip(row.shares, names, strict=True))
        if part is not None
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
    dots = "".join(
        f'<circle class="kept" cx="{x:.1f}" cy="{y:.1f}" r="2.6"><title>{escape(title)}</title></circle>'
        for x, y, title in places
    )
    label = escape(f"{row.name}: from {percent(low, 2)} to {percent(high, 2)}")
    return Markup(
        f'<svg class="spark" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="{label}">'
        f'<polyline class="line" points="{line}"/>{dots}</svg>'
    )


def _setting(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else shown_value(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _in_order(name: str) -> list[tuple[int, str]]:
    """A key by which 2024-9 comes before 2024-10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]
