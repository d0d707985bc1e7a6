"""The report of a training: F1 by type, calibration, what features are worth, the worst pages, the data."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from cleaners.extraction.columns import FEATURES
from cleaners.extraction.context import CONTEXT
from pipelines.figures import bar, number
from pipelines.page import percent
from pipelines.samples import visible
from shards.atomic import write_bytes

_FEATURES_SHOWN = 40


def write_report(path: Path, card: dict[str, Any]) -> None:
    environment = Environment(
        loader=PackageLoader("pipelines", "."),
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
