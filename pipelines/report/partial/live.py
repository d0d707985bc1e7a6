"""Keeps `report-partial.html` and `.json` up to date while a run goes on, at no more than a hundredth of its time."""

import logging
import time

from pipelines.progress import Progress
from pipelines.recipe import Recipe
from pipelines.report.partial.figures import partial_report, to_json
from pipelines.report.partial.render import render_partial
from pipelines.run.folder import RunFolder
from pipelines.run.pass_run import PassRun

log = logging.getLogger(__name__)

_LEAST_S = 30.0  # between two pages, and before the first
_SHARE = 0.01  # of the time, for pages


class LiveReport:
    """Writes the files when progress comes and the last ones are old enough."""

    def __init__(self, run: RunFolder, recipe: Recipe, fingerprint: str) -> None:
        self._run, self._recipe, self._fingerprint = run, recipe, fingerprint
        self._first_pass: PassRun | None = None
        self._next = time.monotonic() + _LEAST_S

    def follow(self, passing: PassRun) -> None:
        """Count the units of this pass, those that it will make included, if it is the first."""
        self._first_pass = self._first_pass or passing

    def __call__(self, progress: Progress) -> None:
        if self._first_pass is not None and time.monotonic() >= self._next:
            self._write(self._first_pass, progress)

    def _write(self, passing: PassRun, progress: Progress) -> None:
        """Write the files now; where that fails, the run goes on, and a warning says why."""
        started = time.monotonic()
        try:
            damage = len(passing.damage)
            report = partial_report(self._recipe, self._fingerprint, progress, passing.stats, damage)
            self._run.write(RunFolder.PARTIAL, to_json(report))
            self._run.write(RunFolder.PARTIAL_PAGE, render_partial(report).encode())
        except Exception as error:  # noqa: BLE001  # a run of days must not end for a page
            log.warning("event=no_partial_report folder=%s: %r", self._run, error)
        ended = time.monotonic()
        self._next = ended + max(_LEAST_S, (ended - started) / _SHARE)

    def remove(self) -> None:
        """Delete the files: the whole report takes their place."""
        for name in (RunFolder.PARTIAL, RunFolder.PARTIAL_PAGE):
            self._run.delete(name)
