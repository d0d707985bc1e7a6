"""Keeps the page of a training up to date while it goes on, at no more than a hundredth of its time."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.report.training.render import write_training_report

log = logging.getLogger(__name__)

_LEAST_S = 60.0  # between two pages
_SHARE = 0.01  # of the time, for pages


class LiveReport:
    """Writes the page when a measurement, a sample or a step comes and the last page is old enough."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._next = time.monotonic() + _LEAST_S

    def __call__(self, record: Mapping[str, Any]) -> None:
        if time.monotonic() >= self._next:
            self.write()

    def write(self) -> None:
        """Write the page now; where that fails, training goes on, and a warning says why."""
        started = time.monotonic()
        try:
            write_training_report(self._folder)
        except Exception as error:  # noqa: BLE001  # days of training must not end for a page
            log.warning("event=no_report folder=%s: %r", self._folder, error)
        ended = time.monotonic()
        self._next = ended + max(_LEAST_S, (ended - started) / _SHARE)
