"""The HTML report of a trained extractor: F1 of groups, losses by reason, calibration, gain of features, data."""

from pathlib import Path
from typing import Any

from cleaners.extraction.features.columns import FEATURES
from cleaners.extraction.features.context import CONTEXT
from cleaners.extraction.training.fold_scores import REASONS
from pipelines.report.page.environment import page_environment
from shards.atomic import write_bytes

_FEATURES_SHOWN = 40


def write_report(path: Path, card: dict[str, Any]) -> None:
    page = page_environment("pipelines.tuning").get_template("extractor.html.j2")
    importance = list(card["importance"].items())[:_FEATURES_SHOWN]
    most_lost = max(card["loss"].values(), default=0.0) or 1.0
    meanings = FEATURES | CONTEXT
    html = page.render(c=card, importance=importance, meanings=meanings, reasons=REASONS, most_lost=most_lost)
    write_bytes(path, html.encode())
