"""Effects with their intervals as inline SVG: a row each, with the seeds as dots and zero as a line.

documents   ├──┤
seeds     ├──────┤
both      ━━━━●━━━━        |0
"""

import math
from collections.abc import Callable, Sequence

from markupsafe import Markup, escape

from pipelines.numbers import number
from pipelines.report.histogram import nice_step
from pipelines.worth.effects import Effect, Interval

_WIDTH, _LEFT, _RIGHT, _ROW, _BOTTOM = 1060.0, 210.0, 20.0, 64.0, 30.0
_LINES = (("over_documents", 20.0, "thin"), ("over_seeds", 29.0, "thin"), ("whole", 40.0, "whole"))


def interval_chart(title: str, effects: Sequence[Effect]) -> Markup:
    """The effects on one scale, in bits per byte; less than zero is better for the second side."""
    low, high = _range(effects)
    height = _ROW * len(effects) + _BOTTOM

    def x(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    out = [f'<svg class="chart" viewBox="0 0 {_WIDTH:g} {height:g}" role="img">', f"<title>{escape(title)}</title>"]
    step = nice_step((high - low) / 8)
    for k in range(math.ceil(low / step), math.floor(high / step) + 1):
        kind = "axis" if k == 0 else "grid"
        out.append(
            f'<line class="{kind}" x1="{x(k * step):.1f}" x2="{x(k * step):.1f}" y1="0" y2="{height - _BOTTOM:g}"/>'
        )
        label = number(round(k * step, 12))
        out.append(f'<text x="{x(k * step):.1f}" y="{height - 12:g}" text-anchor="middle">{label}</text>')
    for row, effect in enumerate(effects):
        out += _row(effect, row * _ROW, x)
    return Markup("".join(out) + "</svg>")


def _row(effect: Effect, top: float, x: Callable[[float], float]) -> list[str]:
    first, second = effect.sides
    out = [
        f'<text class="name" x="0" y="{top + 28:g}">{escape(second)}</text>',
        f'<text x="0" y="{top + 43:g}">minus {escape(first)}</text>',
    ]
    for name, y, kind in _LINES:
        interval: Interval = getattr(effect, name)
        if not math.isfinite(interval.low):
            continue
        what = name.replace("_", " ")
        out.append(
            f'<line class="interval {kind}{"" if effect.winner is None else " shown"}" x1="{x(interval.low):.1f}" '
            f'x2="{x(interval.high):.1f}" y1="{top + y:g}" y2="{top + y:g}"><title>{what}: {interval.low:+.4f} to '
            f"{interval.high:+.4f}</title></line>"
        )
    out += [f'<circle class="seed" cx="{x(value):.1f}" cy="{top + 52:g}" r="2.6"/>' for value in effect.by_seed]
    out.append(f'<circle class="mean" cx="{x(effect.mean):.1f}" cy="{top + 40:g}" r="5"/>')
    return out


def _range(effects: Sequence[Effect]) -> tuple[float, float]:
    """The axis: all intervals and seeds, and zero."""
    values = [0.0]
    for effect in effects:
        values += effect.by_seed
        for name, _, _ in _LINES:
            values += [getattr(effect, name).low, getattr(effect, name).high]
    values = [value for value in values if math.isfinite(value)]
    margin = 0.06 * (max(values) - min(values)) or 0.01
    return min(values) - margin, max(values) + margin
