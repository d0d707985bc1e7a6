"""`report.html` of a training: one file without script, pictures or requests, which prints and follows light and dark.

The page of a training that goes on asks the browser to read it again; the training writes it anew from time to time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from pipelines.numbers import NOTHING, counted, number, percent, size
from pipelines.report.page.environment import page_environment
from pipelines.report.training.chart import NUM_COLOURS, Format, Mark, Series, line_chart
from pipelines.report.training.curves import Curve, smoothed
from pipelines.report.training.summary import Record, TrainingSummary, settings_of, started_at, summarize
from shards.atomic import write_bytes, write_json

REPORT_HTML, REPORT_JSON = "report.html", "report.json"
_REFRESH_S = 30
_SAMPLES_SHOWN = 8  # per prompt
_SPIKES_SHOWN = 50
_CURVES_SHOWN = 24  # of one chart; the others are in a table


@dataclass(frozen=True)
class Figure:
    """A chart with its legend."""

    title: str
    note: str
    chart: Markup
    legend: list[tuple[str, int]]  # (name, colour)


def write_training_report(folder: Path) -> Path:
    """Write report.json and report.html of the training in a folder, whose other files are only read.

    UserError where there is no training; UserError or RunError where the files cannot be written.
    """
    summary = summarize(folder)
    write_json(folder / REPORT_JSON, figures_of(summary))
    write_bytes(folder / REPORT_HTML, render(summary, settings_of(folder)).encode())
    return folder / REPORT_HTML


def figures_of(summary: TrainingSummary) -> Record:
    """The figures of a page for programs: `report.json`."""
    last, curves = summary.curves.last, summary.curves
    return {
        "steps": summary.step,
        "steps_planned": summary.config.steps,
        "tokens": summary.tokens,
        "loss": last.get("loss"),
        "loss_smoothed": _last(_smoothed(curves.curve("loss"))),
        "loss_by_source": {name: _last(_smoothed(curve)) for name, curve in curves.table("loss_by_source").items()},
        "loss_by_bucket": {name: _last(_smoothed(curve)) for name, curve in curves.table("loss_by_bucket").items()},
        "held_out_bits_per_byte": summary.evaluations[-1]["held_out_bits_per_byte"] if summary.evaluations else {},
        "tokens_per_s": _median(curves.curve("tokens_per_s")),
        "data_wait": _median(curves.curve("data_wait")),
        "mfu": _median(curves.curve("mfu")),
        "matmul_share": _median(curves.curve("matmul_share")),
        "epochs": {line.source: round(line.epochs, 4) for line in summary.epochs},
        "starts": [record["step"] for record in summary.starts],
        "spikes": [spike.step for spike in summary.spikes],
        "plan": summary.plan_hash,
        "tokenizer_sha256": summary.tokenizer_sha256,
    }


def render(summary: TrainingSummary, settings: Mapping[str, Any]) -> str:
    """The page."""
    environment = page_environment("pipelines.report.training")
    filters: dict[str, Any] = {"loss": _loss, "setting": _setting, "started": started_at}
    environment.filters |= filters
    marks = _marks(summary)
    return environment.get_template("training.html.j2").render(
        s=summary,
        refresh=_REFRESH_S if summary.is_running and not summary.is_finished else None,
        written=datetime.now(UTC),
        findings=findings(summary),
        figures=figures_of(summary),
        losses=_losses(summary, marks),
        held_out=_held_out(summary, marks),
        held_out_rows=_held_out_rows(summary),
        optimisation=_optimisation(summary, marks),
        speeds=_speeds(summary, marks),
        samples=_samples(summary),
        spikes=summary.spikes[-_SPIKES_SHOWN:],
        settings=sorted(settings.items(), key=lambda item: ("." in item[0], item[0])),
        most_epochs=max((line.epochs for line in summary.epochs), default=0) or 1,
    )


def findings(summary: TrainingSummary) -> list[str]:
    """What a reader should know first, each a sentence that the rest of the page proves."""
    lines = []
    figures = figures_of(summary)
    if (loss := figures["loss_smoothed"]) is not None:
        first = summary.curves.curve("loss")
        assert first is not None
        lines.append(f"The training loss went from {_loss(first.values[0])} to {_loss(loss)} nats a token, smoothed.")
    measured = [record for record in summary.evaluations if record["held_out_bits_per_byte"]]
    if measured:
        first_values, values = (measured[i]["held_out_bits_per_byte"] for i in (0, -1))
        parts = ", ".join(f"{source} {_loss(value)}" for source, value in values.items())
        before = ", ".join(f"{source} {_loss(value)}" for source, value in first_values.items())
        lines.append(f"Held-out bits per byte after step {measured[-1]['step']:,}: {parts}")
        lines[-1] += f"; after step {measured[0]['step']:,}: {before}." if len(measured) > 1 else "."
    if (rate := figures["tokens_per_s"]) is not None:
        used = [f"{percent(figures['mfu'])} of the published peak"] if figures["mfu"] is not None else []
        if figures["matmul_share"] is not None:
            used.append(f"{percent(figures['matmul_share'], 0)} of what a matrix product reaches here")
        shares = f", {' and '.join(used)}" if used else ""
        lines.append(f"The median step trains on {rate:,.0f} tokens/s{shares}.")
    if (wait := figures["data_wait"]) is not None:
        lines.append(f"A median step waits {percent(wait, 2)} of its time for its batch.")
    if summary.spikes:
        steps = ", ".join(f"{spike.step:,}" for spike in summary.spikes[:10])
        lines.append(f"{counted(len(summary.spikes), 'spike')}: step {steps}{'…' * (len(summary.spikes) > 10)}.")
    if len(summary.starts) > 1:
        lines.append(f"It was started {counted(len(summary.starts), 'time')}; the starts are lines in the curves.")
    if repeated := [line for line in summary.epochs if line.epochs > 1]:
        parts = ", ".join(f"{line.source} {line.epochs:.2f} times" for line in repeated)
        lines.append(f"At its end the training has seen some sources more than once: {parts}.")
    return lines


def _losses(summary: TrainingSummary, marks: Sequence[Mark]) -> list[Figure]:
    curves = summary.curves
    found = []
    if (loss := curves.curve("loss")) is not None:
        raw = _with_range("one step" if curves.steps_per_point == 1 else "mean", loss, faint=True)
        smooth = Series("smoothed", loss.steps, loss.smoothed(), 0)
        chart = line_chart(
            "training loss by step", [raw, smooth], last_step=summary.step, marks=marks, wide=True, format=_loss
        )
        note = "Nats a token, over all sources; the faint line is each step, the strong one its running mean."
        if curves.steps_per_point > 1:
            note = (
                f"Nats a token, over all sources. A point stands for {counted(curves.steps_per_point, 'step')}: the "
                "faint line is their mean, the shade their range, the strong line the running mean."
            )
        found.append(Figure("Training loss", note, chart, []))
    for key, title in (("loss_by_source", "Loss by source"), ("loss_by_bucket", "Loss by bucket")):
        of = {name: curve for name, curve in curves.table(key).items() if name or key == "loss_by_source"}
        if len(of) > (key == "loss_by_source"):
            note = "Running means; a step has no loss of a source whose rows are not in its batch."
            found.append(_figure(title, note, {n: (c, c.smoothed()) for n, c in of.items()}, summary, marks, _loss))
    return found


def _held_out(summary: TrainingSummary, marks: Sequence[Mark]) -> Figure | None:
    values: dict[str, tuple[list[float], list[float]]] = {}
    for record in summary.evaluations:
        for source, value in record["held_out_bits_per_byte"].items():
            if isinstance(value, float | int):
                steps, of_source = values.setdefault(source, ([], []))
                steps.append(record["step"])
                of_source.append(value)
    if not values:
        return None
    series = [
        Series(name, np.array(steps, float), np.array(of), i, dots=True)
        for i, (name, (steps, of)) in enumerate(values.items())
    ]
    chart = line_chart(
        "held-out bits per byte by step", series, last_step=summary.step, marks=marks, wide=True, format=_loss
    )
    note = "Bits per byte of documents that are never trained on; smaller is better, whatever the tokenizer."
    return Figure("Held out", note, chart, [(one.name, one.colour) for one in series])


def _held_out_rows(summary: TrainingSummary) -> list[tuple[str, float | None, float | None, float | None]]:
    """(source, first, best, last) of its bits per byte."""
    values: dict[str, list[float]] = {}
    for record in summary.evaluations:
        for source, value in record["held_out_bits_per_byte"].items():
            if isinstance(value, float | int):
                values.setdefault(source, []).append(value)
    return [(source, of[0], min(of), of[-1]) for source, of in values.items()]


def _optimisation(summary: TrainingSummary, marks: Sequence[Mark]) -> list[Figure]:
    kinds = (
        ("lr", "Learning rate", "Of the step's update."),
        ("grad_norm", "Gradient norm", "Over all parameters, before clipping."),
    )
    return _single(summary, marks, kinds, {"lr": _rate})


def _speeds(summary: TrainingSummary, marks: Sequence[Mark]) -> list[Figure]:
    kinds = (
        ("tokens_per_s", "Tokens a second", "Labels trained on, over all devices."),
        (
            "tflop_per_s",
            "TFLOP/s",
            "Six operations a weight and token, and attention within documents, over all devices.",
        ),
        ("mfu", "MFU", "Share of the devices' published peak."),
        ("matmul_share", "Share of a matrix product", "Of the rate that one reached when the training started."),
        ("data_wait", "Data wait", "Share of a step's time in which it waits for its batch."),
        ("memory_bytes", "Memory", "Most of it so far, of one device, or resident memory on a CPU."),
    )
    formats = {"mfu": percent, "matmul_share": percent, "data_wait": lambda v: percent(v, 2), "memory_bytes": size}
    return _single(summary, marks, kinds, formats, from_zero=True)


def _single(
    summary: TrainingSummary,
    marks: Sequence[Mark],
    kinds: Sequence[tuple[str, str, str]],
    formats: Mapping[str, Format],
    *,
    from_zero: bool = False,
) -> list[Figure]:
    """A chart for each of (key, title, note) that the records have."""
    found = []
    for key, title, note in kinds:
        if (curve := summary.curves.curve(key)) is not None:
            chart = line_chart(
                f"{title} by step",
                [_with_range(title, curve)],
                last_step=summary.step,
                marks=marks,
                from_zero=from_zero,
                format=formats.get(key, number),
                format_tick=formats.get(key, number),
            )
            found.append(Figure(title, note, chart, []))
    return found


def _with_range(name: str, curve: Curve, *, faint: bool = False) -> Series:
    return Series(name, curve.steps, curve.values, 0, curve.least, curve.largest, faint=faint)


def _figure(
    title: str,
    note: str,
    curves: Mapping[str, tuple[Curve, np.ndarray]],
    summary: TrainingSummary,
    marks: Sequence[Mark],
    format: Format,
) -> Figure:
    """One chart of several curves."""
    shown = list(curves.items())[:_CURVES_SHOWN]
    series = [Series(name or "no bucket", curve.steps, values, i) for i, (name, (curve, values)) in enumerate(shown)]
    chart = line_chart(f"{title} by step", series, last_step=summary.step, marks=marks, format=format)
    if len(curves) > len(shown):
        note += f" {counted(len(curves) - len(shown), 'more curve')} not drawn; report.json has the last values."
    return Figure(title, note, chart, [(one.name, one.colour % NUM_COLOURS) for one in series])


def _marks(summary: TrainingSummary) -> list[Mark]:
    """Starts after the first one, and spikes."""
    starts = [Mark(r["step"], f"started again after step {r['step']:,}", "start") for r in summary.starts[1:]]
    spikes = [Mark(spike.step, f"spike at step {spike.step:,}", "spike") for spike in summary.spikes[-_SPIKES_SHOWN:]]
    return starts + spikes


def _samples(summary: TrainingSummary) -> list[tuple[str, list[Record]]]:
    """(prompt, its samples), the newest first."""
    by_prompt: dict[str, list[Record]] = {}
    for record in reversed(summary.samples):
        by_prompt.setdefault(str(record.get("prompt", "")), []).append(record)
    return [(prompt, records[:_SAMPLES_SHOWN]) for prompt, records in by_prompt.items()]


def _smoothed(curve: Curve | None) -> np.ndarray | None:
    return None if curve is None else smoothed(curve.values)


def _last(values: np.ndarray | None) -> float | None:
    return None if values is None else float(values[-1])


def _median(curve: Curve | None) -> float | None:
    return None if curve is None else float(np.median(curve.values))


def _loss(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4f}"


def _rate(value: float) -> str:
    return f"{value:.3g}"


def _setting(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
