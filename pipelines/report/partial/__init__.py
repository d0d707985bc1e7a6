"""The report of a run that goes on: what its finished units came to so far."""

from pipelines.report.partial.figures import PartialReport, PartialStage, read_partial
from pipelines.report.partial.live import LiveReport
from pipelines.report.partial.render import render_partial

__all__ = ["LiveReport", "PartialReport", "PartialStage", "read_partial", "render_partial"]
