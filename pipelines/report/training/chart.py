"""Line charts as inline SVG. Colours are classes of `training.css.j2`, so they follow light and dark.

Every text that comes from outside goes through `escape`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from pipelines.numbers import number
from pipelines.report.histogram import nice_step

_SIZES = {False: (520.0, 220.0), True: (1060.0, 300.0)}  # width and height, of wide charts and others
_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 12.0, 10.0, 24.0
_COLUMNS = 120  # that show their values under the pointer
NUM_COLOURS = 8

Format = Callable[[float], str]


@dataclass(frozen=True)
class Series:
    """A line of a chart."""

    name: str
    steps: np.ndarray
    values: np.ndarray
    colour: int = 0  # 0 … NUM_COLOURS - 1
    least: np.ndarray | None = None  # with `largest`: a shade behind the line
    largest: np.ndarray | None = None
    faint: bool = False
    dots: bool = False


@dataclass(frozen=True)
class Mark:
    """A step that is pointed out."""

    step: float
    title: str
    kind: str  # a class: "start" or "spike"


def line_chart(
    title: str,
    series: Sequence[Series],
    *,
    last_step: int,
    marks: Sequence[Mark] = (),
    wide: bool = False,
    from_zero: bool = False,
    format: Format = number,
    format_tick: Format = number,
) -> Markup:
    """The series over steps 0 … `last_step`; an empty text where none has a value.

    Losses begin high and fall at once. So the vertical axis spans the values of the last 95 % of steps and all dots,
    and lines are cut where they are outside.
    """
    series = [one for one in series if len(one.values)]
    if not series:
        return Markup("")
    low, high = _range(series, last_step, from_zero)
    width, height = _SIZES[wide]
    right, base = width - _RIGHT, height - _BOTTOM
    x, y = _Axis(0, max(1, last_step), _LEFT, right), _Axis(low, high, base, _TOP)
    out = [f'<svg class="chart" viewBox="0 0 {width:g} {height:g}" role="img">', f"<title>{escape(title)}</title>"]
    for value in _ticks(low, high, 5):
        out.append(f'<line class="grid" x1="{_LEFT:g}" x2="{right:g}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        out.append(_text(_LEFT - 6, y(value) + 3.5, format_tick(value), "end"))
    for value in _ticks(0, max(1, last_step), 10 if wide else 5):
        anchor = "end" if x(value) > right - 20 else "middle"
        out.append(_text(x(value), base + 15, f"{value:,.0f}", anchor))
    inner = (_LEFT, _TOP, right - _LEFT, base - _TOP)
    place = 'x="{0:g}" y="{1:g}" width="{2:g}" height="{3:g}" viewBox="{0:g} {1:g} {2:g} {3:g}"'.format(*inner)
    out.append(f"<svg {place}>")  # it cuts what lies outside
    for mark in marks:
        at = f'x1="{x(mark.step):.1f}" x2="{x(mark.step):.1f}" y1="{_TOP:g}" y2="{base:g}"'
        out.append(f'<line class="mark {escape(mark.kind)}" {at}><title>{escape(mark.title)}</title></line>')
    for one in series:
        out += _lines(one, x, y)
    out.append("</svg>")
    out += _columns(series, x, base, last_step, format)
    return Markup("".join(out) + "</svg>")


class _Axis:
    """A linear scale."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self._low, self._high, self._start, self._end = low, high, start, end

    def __call__(self, value: float) -> float:
        share = (value - self._low) / (self._high - self._low)
        return self._start + share * (self._end - self._start)


def _range(series: Sequence[Series], last_step: int, from_zero: bool) -> tuple[float, float]:
    """The least and largest value of the axis."""
    settled = [one.values[(one.steps >= 0.05 * last_step) | one.dots] for one in series if not one.faint]
    values = np.concatenate([part for part in settled if len(part)] or [one.values for one in series])
    low, high = float(values.min()), float(values.max())
    if from_zero:
        low = min(0.0, low)
    if high - low < 1e-9 * max(abs(high), abs(low), 1e-300):
        high, low = (high + abs(high) * 0.1, low - abs(low) * 0.1) if high else (1.0, 0.0)
    margin = 0.08 * (high - low)
    return (low if from_zero else low - margin), high + margin


def _ticks(low: float, high: float, count: int) -> list[float]:
    step = nice_step((high - low) / count)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def _lines(one: Series, x: _Axis, y: _Axis) -> list[str]:
    out = []
    colour = f"c{one.colour % NUM_COLOURS}"
    xs = [x(step) for step in one.steps]
    if one.least is not None and one.largest is not None and (one.least < one.largest).any():
        edge = [f"{a:.1f} {y(b):.1f}" for a, b in zip(xs, one.largest, strict=True)]
        edge += [f"{a:.1f} {y(b):.1f}" for a, b in zip(xs[::-1], one.least[::-1], strict=True)]
        out.append(f'<path class="band {colour}" d="M{"L".join(edge)}Z"/>')
    points = "L".join(f"{a:.1f} {y(b):.1f}" for a, b in zip(xs, one.values, strict=True))
    faint = " faint" if one.faint else ""
    out.append(f'<path class="curve {colour}{faint}" d="M{points}{"" if len(xs) > 1 else "h.1"}"/>')
    if one.dots or len(xs) == 1:
        out += [
            f'<circle class="{colour}" cx="{a:.1f}" cy="{y(b):.1f}" r="2.6"/>'
            for a, b in zip(xs, one.values, strict=True)
        ]
    return out


def _columns(series: Sequence[Series], x: _Axis, base: float, last_step: int, format: Format) -> list[str]:
    """Invisible columns, each with the values of all series at its middle."""
    steps = np.unique(np.concatenate([one.steps for one in series]))
    chosen = steps[np.unique(np.linspace(0, len(steps) - 1, min(_COLUMNS, len(steps))).astype(int))]
    edges = [0.0, *((chosen[1:] + chosen[:-1]) / 2).tolist(), float(max(1, last_step))]
    out = []
    for step, left, right in zip(chosen.tolist(), edges, edges[1:], strict=False):
        lines = [f"step {step:,.0f}"]
        for one in series:
            at = int(np.argmin(np.abs(one.steps - step)))
            if not one.dots or one.steps[at] == step:
                lines.append(f"{one.name} {format(float(one.values[at]))}")
        out.append(
            f'<rect class="hover" x="{x(left):.1f}" y="{_TOP:g}" width="{max(0.1, x(right) - x(left)):.1f}" '
            f'height="{base - _TOP:g}"><title>{escape(chr(10).join(lines))}</title></rect>'
        )
    return out


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
