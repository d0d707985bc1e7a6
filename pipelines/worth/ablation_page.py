"""An ablation in words and as a page: one file without script, pictures or requests, like a run's report."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from pipelines.lines import Line, Table
from pipelines.numbers import counted
from pipelines.report.page.environment import page_environment
from pipelines.report.training.chart import NUM_COLOURS, Series, line_chart
from pipelines.report.training.curves import smoothed
from pipelines.worth.ablate import NEUTRAL, Ablation
from pipelines.worth.effects import LEVEL, POWER, Effect, Interval
from pipelines.worth.interval_svg import interval_chart
from pretrain.metrics import METRICS, read_records
from shards.atomic import write_bytes

PAGE = "ablation.html"


@dataclass(frozen=True)
class ShownSet:
    """A set of documents with its chart and its scores."""

    name: str
    num_documents: int
    spread: float  # of seeds
    chart: Markup
    scores: list[tuple[str, list[float], float]]  # (side, bits per byte by seed, mean)
    effects: list[Effect]


def lines(result: Ablation) -> Iterator[Line]:
    """The result for the terminal."""
    name = result.headline
    yield f"bits per byte of {name}, {counted(result.num_documents[name], 'document')}:"
    scores = result.sets[name]
    rows = zip(scores.sides, scores.table, strict=True)
    header = ("side", "mean", *(f"seed {n + 1}" for n in range(scores.table.shape[1])))
    yield Table(header, tuple((side, f"{of.mean():.4f}", *(f"{v:.4f}" for v in of)) for side, of in rows), numbers=True)
    for effect in result.effects[name]:
        yield sentence(effect)


def sentence(effect: Effect) -> str:
    """What an effect says, and no more."""
    first, second = effect.sides
    if not math.isfinite(effect.whole.low):
        return f"{second} minus {first}: {effect.mean:+.4f} with one seed, which shows nothing"
    intervals = f"{effect.mean:+.4f}, {LEVEL:.0%} interval {_interval(effect.whole)}"
    parts = f"documents {_interval(effect.over_documents)}, seeds {_interval(effect.over_seeds)}"
    if effect.winner is None:
        verdict = f"no difference is shown; one of {effect.smallest:.3f} would be, {POWER:.0%} of the time"
    else:
        verdict = f"{effect.winner} is better"
    return f"{second} minus {first}: {intervals} ({parts}): {verdict}"


def write_page(result: Ablation, out: Path) -> Path:
    """Write OUT/ablation.html."""
    write_bytes(out / PAGE, render(result, out).encode())
    return out / PAGE


def render(result: Ablation, out: Path) -> str:
    """The page; training curves are read from the trainings below `out`."""
    environment = page_environment("pipelines.worth")
    environment.loader.loaders.append(page_environment("pipelines.report.training").loader)  # type: ignore[union-attr]
    environment.filters |= {"interval": _interval, "sentence": sentence}
    shown = [_shown(result, name) for name in result.sets]
    headline = next(one for one in shown if one.name == result.headline)
    return environment.get_template("ablation.html.j2").render(
        r=result,
        law=result.law,
        level=f"{LEVEL:.0%}",
        headline=headline,
        others=[one for one in shown if one is not headline],
        neutral=NEUTRAL,
        curves=_curves(result, out),
        colours=[(side, i % NUM_COLOURS) for i, side in enumerate(result.sides)],
    )


def _shown(result: Ablation, name: str) -> ShownSet:
    scores = result.sets[name]
    return ShownSet(
        name,
        result.num_documents[name],
        scores.spread[0],
        interval_chart(f"differences in bits per byte of {name}", result.effects[name]),
        [(side, of.tolist(), float(of.mean())) for side, of in zip(scores.sides, scores.table, strict=True)],
        result.effects[name],
    )


def _curves(result: Ablation, out: Path) -> Markup:
    """Smoothed training losses of all sides and seeds."""
    series: list[Series] = []
    for colour, (side, seeds) in enumerate(result.seeds.items()):
        for seed in seeds:
            records = read_records(out / "trainings" / side / f"seed-{seed}" / METRICS)
            steps = np.array([record["step"] for record in records], float)
            losses = smoothed(np.array([record["loss"] for record in records], float))
            series.append(Series(f"{side}, seed {seed}", steps, losses, colour % NUM_COLOURS))
    return line_chart("training loss by step", _with_values(series), last_step=result.law.steps, wide=True)


def _with_values(series: Sequence[Series]) -> list[Series]:
    return [one for one in series if len(one.values)]


def _interval(interval: Interval) -> str:
    if not math.isfinite(interval.low):
        return "unbounded"
    return f"{interval.low:+.4f} to {interval.high:+.4f}"
