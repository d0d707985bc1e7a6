"""`report-partial.html`: one file without script or requests, which asks the browser to read it again."""

from pipelines.report.page.environment import page_environment
from pipelines.report.partial.figures import PartialReport

_REFRESH_S = 15


def render_partial(report: PartialReport) -> str:
    """The page."""
    environment = page_environment("pipelines.report.partial")
    return environment.get_template("partial.html.j2").render(r=report, refresh=_REFRESH_S)
