"""Bars and histograms as inline SVG. Colours are classes of `style.css.j2`, so they follow light and dark.

Every text that comes from outside goes through `escape`.
"""

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from pipelines.numbers import number
from pipelines.report.histogram import nice_step
from pipelines.report.model import Histogram
from pipelines.report.moved import Between
from shards.stage import Rule

_WIDTH, _HEIGHT = 320.0, 150.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 6.0, 6.0, 26.0, 18.0
_CURVE_HEIGHT = 64.0
_TAIL_GAP = 5.0  # between the range and the bar for what lies outside


def bar(*parts: tuple[str, float]) -> Markup:
    """Parts (class, share of the width, 0 to 1) side by side, as wide as the table cell."""
    pieces, left = [], 0.0
    for name, share in parts:
        width = max(0.0, min(share, 1.0 - left)) * 100
        pieces.append(f'<i class="{name}" style="width:{width:.2f}%"></i>')
        left += width / 100
    return Markup('<span class="bar" aria-hidden="true">' + "".join(pieces) + "</span>")


def histogram_svg(title: str, histogram: Histogram, rule: Rule, *, integers: bool) -> Markup:
    """Stacked bars: kept, dropped by other rules, failing here. Thresholds are labelled lines, with a shade outside."""
    scale = _Scale(histogram)
    totals = [sum(parts) for parts in zip(histogram.kept, histogram.other, histogram.failing, strict=True)]
    top, cut = _top(totals)
    out = [
        f'<svg class="histogram" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img">',
        f"<title>{escape(title)}</title>",
        *_shades(rule, scale, integers),
    ]
    base, height = _HEIGHT - _BOTTOM, _HEIGHT - _BOTTOM - _TOP
    label = ""
    for i, total in enumerate(totals):
        if not total:
            continue
        left, right = scale.bin(i)
        out.append(f"<g><title>{escape(_bin_title(histogram, i, integers))}</title>")
        y, shrink = base, min(1.0, top / total)
        for name, count in (
            ("kept", histogram.kept[i]),
            ("other", histogram.other[i]),
            ("failing", histogram.failing[i]),
        ):
            if count:
                tall = max(0.6, count * shrink / top * height)
                y -= tall
                out.append(_rect(name, left + 0.4, y, max(0.6, right - left - 0.8), tall))
        if i == cut:
            middle = base - 0.86 * height
            out.append(
                f'<path class="break" d="M{left - 2:.1f} {middle + 3:.1f}L{right + 2:.1f} {middle - 1:.1f}'
                f'M{left - 2:.1f} {middle + 7:.1f}L{right + 2:.1f} {middle + 3:.1f}"/>'
            )
            label_x, anchor = (left - 3, "end") if right > 0.7 * _WIDTH else (right + 3, "start")
            label = _text(label_x, _TOP + 7, number(total), "count", anchor)
        out.append("</g>")
    out.append(f'<line class="axis" x1="{_LEFT:g}" x2="{_WIDTH - _RIGHT:g}" y1="{base:g}" y2="{base:g}"/>')
    for value, name in _ticks(histogram, integers):
        x = scale(value)
        if totals[-1] and x > _WIDTH - _RIGHT - 40:
            continue  # "more" stands there
        out.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{base:g}" y2="{base + 3:g}"/>')
        anchor = "start" if x < _LEFT + 8 else "end" if x > _WIDTH - _RIGHT - 8 else "middle"
        out.append(_text(x, base + 13, name, "tick", anchor))
    if totals[-1]:
        out.append(_text(_WIDTH - _RIGHT, base + 13, "more", "tick", "end"))
    out += [*_thresholds(rule, scale, integers), label]
    return Markup("".join(out) + "</svg>")


def curve_svg(histogram: Histogram, edges: Sequence[float], kept: Sequence[Between], limit: float, side: str) -> Markup:
    """Documents kept with the threshold at each edge: a line, or a band where they are known as a range.

    It stands below the histogram and has its scale. `data-x` holds the place of each edge, for the slider's marker.
    """
    scale = _Scale(histogram)
    base, top = _CURVE_HEIGHT - 6.0, 16.0
    low, high = min(one.least for one in kept), max(one.most for one in kept)
    span = max(1, high - low)
    xs = [scale(edge) for edge in edges]
    least, most = ([base - (n - low) / span * (base - top) for n in of] for of in zip(*map(_ends, kept), strict=True))
    lower, upper = ([f"{x:.1f} {y:.1f}" for x, y in zip(xs, ys, strict=True)] for ys in (least, most))
    now = list(edges).index(limit)
    word = "minimum" if side == "min" else "maximum"
    places = " ".join(f"{x:.1f}" for x in xs)
    title = (
        f"documents kept by {word}: {kept[0].most:,} at {number(edges[0])}, {kept[-1].most:,} at {number(edges[-1])}"
    )
    return Markup(
        f'<svg class="curve" viewBox="0 0 {_WIDTH:g} {_CURVE_HEIGHT:g}" role="img" data-x="{places}">'
        f"<title>{escape(title)}</title>"
        f'<path class="range" d="M{"L".join(lower)}L{"L".join(reversed(upper))}Z"/>'
        f'<polyline class="line" points="{", ".join(upper)}"/>'
        f'<line class="axis" x1="{_LEFT:g}" x2="{_WIDTH - _RIGHT:g}" y1="{base:g}" y2="{base:g}"/>'
        f'<circle class="marker" cx="{xs[now]:.1f}" cy="{most[now]:.1f}" r="3"/>'
        f'<line class="marker" data-side="{side}" x1="{xs[now]:.1f}" x2="{xs[now]:.1f}" y1="{top:g}" y2="{base:g}"/>'
        + _text(_LEFT, 10, f"kept, by {word}", "tick", "start")
        + _text(_WIDTH - _RIGHT, 10, f"{low:,} to {high:,}", "tick", "end")
        + "</svg>"
    )


def _ends(one: Between) -> tuple[int, int]:
    return one.least, one.most


class _Scale:
    """x of a value. Bars for values outside the edges stand apart at either end, where there are any."""

    def __init__(self, histogram: Histogram) -> None:
        self._log, self._edges = histogram.log, histogram.edges
        width = (_WIDTH - _LEFT - _RIGHT) / (len(self._edges) + 3)
        totals = [sum(parts) for parts in zip(histogram.kept, histogram.other, histogram.failing, strict=True)]
        self._bar = max(width, 5.0)
        self._start = _LEFT + (self._bar + _TAIL_GAP if totals[0] else 0)
        self._end = _WIDTH - _RIGHT - (self._bar + _TAIL_GAP if totals[-1] else 0)

    def __call__(self, value: float) -> float:
        low, high = self._edges[0], self._edges[-1]
        value = min(max(value, low), high)
        share = math.log(value / low) / math.log(high / low) if self._log else (value - low) / (high - low)
        return self._start + share * (self._end - self._start)

    def bin(self, i: int) -> tuple[float, float]:
        if i == 0:
            return _LEFT, _LEFT + self._bar
        if i == len(self._edges):
            return _WIDTH - _RIGHT - self._bar, _WIDTH - _RIGHT
        return self(self._edges[i - 1]), self(self._edges[i])


def _top(totals: list[int]) -> tuple[int, int | None]:
    """(count at full height, the bar that is cut there). A bar that dwarfs all others is cut, and labelled."""
    ranked = sorted(range(len(totals)), key=lambda i: -totals[i])
    first, second = totals[ranked[0]], totals[ranked[1]] if len(ranked) > 1 else 0
    if second and first > 3 * second:
        return max(1, round(1.6 * second)), ranked[0]
    return max(1, first), None


def _sides(rule: Rule, integers: bool) -> list[tuple[str, float, float]]:
    """(word, threshold, value at which its line stands). Between integers it stands half way."""
    half = 0.5 if integers else 0.0
    sides = [("min", rule.min_kept, -half), ("max", rule.max_kept, half)]
    return [(word, threshold, threshold + shift) for word, threshold, shift in sides if threshold is not None]


def _shades(rule: Rule, scale: _Scale, integers: bool) -> list[str]:
    shades = []
    for word, _, value in _sides(rule, integers):
        x = scale(value)
        left, right = (0.0, x) if word == "min" else (x, _WIDTH)
        shades.append(_rect("shade", left, _TOP - 8, right - left, _HEIGHT - _BOTTOM - _TOP + 8))
    return shades


def _thresholds(rule: Rule, scale: _Scale, integers: bool) -> list[str]:
    out = []
    for word, threshold, value in _sides(rule, integers):
        x = scale(value)
        out.append(f'<line class="threshold" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 10:g}" y2="{_HEIGHT - _BOTTOM:g}"/>')
        anchor = "start" if x < 40 else "end" if x > _WIDTH - 40 else "middle"
        label_x = max(x, 2.0) if anchor == "start" else min(x, _WIDTH - 2) if anchor == "end" else x
        out.append(_text(label_x, _TOP - 14, f"{word} {number(threshold)}", "threshold-label", anchor))
    return out


def _ticks(histogram: Histogram, integers: bool) -> list[tuple[float, str]]:
    low, high = histogram.edges[0], histogram.edges[-1]
    if histogram.log:
        powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
        return [(10.0**p, _short(10**p)) for p in powers]
    step = nice_step((high - low) / 5)
    if integers:
        step = max(1.0, math.ceil(step))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(k * step, number(round(k * step, 10))) for k in range(first, last + 1)]


def _short(value: int) -> str:
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= size:
            return f"{value // size}{unit}"
    return str(value)


def bin_names(histogram: Histogram, integers: bool) -> list[str]:
    """The values of each bin, for people."""
    return [_bin_name(histogram, i, integers) for i in range(len(histogram.edges) + 1)]


def _bin_title(histogram: Histogram, i: int, integers: bool) -> str:
    parts = f"{histogram.kept[i]:,} kept, {histogram.other[i]:,} dropped by other rules"
    return f"{_bin_name(histogram, i, integers)}: {parts}, {histogram.failing[i]:,} fail here"


def _bin_name(histogram: Histogram, i: int, integers: bool) -> str:
    edges = histogram.edges
    if i == 0:
        return f"below {number(edges[0])}"
    if i == len(edges):
        return f"above {number(edges[-1])}"
    if integers:
        low, high = math.ceil(edges[i - 1]), math.ceil(edges[i]) - 1
        return number(low) if low >= high else f"{number(low)} to {number(high)}"
    return f"{number(edges[i - 1])} to {number(edges[i])}"


def _rect(name: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _text(x: float, y: float, text: str, name: str, anchor: str) -> str:
    return f'<text class="{name}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
