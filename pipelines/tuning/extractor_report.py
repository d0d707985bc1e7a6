"""The HTML report of a trained extractor: F1 by type, calibration, gain of features, worst pages, data."""

from pathlib import Path
from typing import Any

from cleaners.extraction.features.columns import FEATURES
from cleaners.extraction.features.context import CONTEXT
from pipelines.report.page.environment import page_environment
from shards.atomic import write_bytes

_FEATURES_SHOWN = 40


def write_report(path: Path, card: dict[str, Any]) -> None:
    page = page_environment("pipelines.tuning").get_template("extractor.html.j2")
    importance = list(card["importance"].items())[:_FEATURES_SHOWN]
    write_bytes(path, page.render(c=card, importance=importance, meanings=FEATURES | CONTEXT).encode())
