"""The HTML report of a trained extractor: F1 by type, calibration, gain of features, worst pages, data."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from cleaners.extraction.features.columns import FEATURES
from cleaners.extraction.features.context import CONTEXT
from pipelines.report.html import percent
from pipelines.report.samples import visible
from pipelines.report.svg import bar, number
from shards.atomic import write_bytes

_FEATURES_SHOWN = 40


def write_report(path: Path, card: dict[str, Any]) -> None:
    environment = Environment(
        loader=PackageLoader("pipelines.tuning", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "percent": percent, "visible": visible}
    environment.globals |= {"bar": bar}
    page = environment.get_template("extractor.html.j2").render(
        c=card, importance=list(card["importance"].items())[:_FEATURES_SHOWN], meanings=FEATURES | CONTEXT
    )
    write_bytes(path, page.encode())
