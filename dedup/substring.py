"""Exact substring: passages of at least `length` words that stand in more than one place, in a document or in many.

    windows ──twins──▶ words to cut ──▶ spans ──▶ cut: <key>.spans.arrow, and verdicts where little is left
                                             └──▶ drop_partial, drop_any: verdicts

`keep = "none"` takes every word that lies in a repeated window, as suffix-array tools do. `keep = "first"` leaves each
repeated window whole where it comes first, in the order of document ids and then of the text: words of first windows
stay, words of later ones go unless they are also of a first one.

A span takes the white space behind it along, or before it at the end of a text, so what is left reads on.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit
from pydantic import Field

from dedup.documents import format_ids
from dedup.verdicts import write_verdicts
from dedup.windows import RepeatedWindows, Repeats, find_repeats
from shards.exchange import SPANS, ExchangeUnit, Executor, GlobalStageConfig, spans_path
from shards.sink import ArrowSink
from shards.unicode import IDEOGRAPH, classes, decode, text_buffers
from shards.words import max_words, word_spans

_FIELDS = ("row", "start", "end", "chars", "window")
_SPAN = np.dtype([(name, "<i8") for name in _FIELDS])


class SubstringConfig(GlobalStageConfig):
    version: ClassVar[int] = 1
    reason: ClassVar[str] = "dedup.substring"

    length: int = Field(50, ge=2)  # words: the shortest passage that counts
    keep: Literal["first", "none"] = "first"
    action: Literal["cut", "drop_partial", "drop_any"] = "cut"
    min_chars: int = Field(20, ge=1)  # "cut": least that is left of a document; one that keeps fewer leaves whole
    max_repeated_fraction: float = Field(0.2, ge=0, le=1)  # "drop_partial": of a kept document's characters in spans

    @property
    def cuts(self) -> bool:
        return self.action == "cut"

    def resolve(self, units: Sequence[ExchangeUnit], folder: Path, executor: Executor) -> None:
        found = find_repeats(units, folder / "windows", executor, self.length)
        for _ in executor.map(partial(_decide, found=found, folder=folder, config=self), range(len(units))):
            pass  # results are files


def _decide(number: int, *, found: RepeatedWindows, folder: Path, config: SubstringConfig) -> None:
    """Write the verdicts and spans of one unit."""
    unit, repeats = found.units[number], found.of_unit(number)
    spans, sizes = _spans(unit, repeats, config)
    rows, first = np.unique(spans["row"], return_index=True)
    removed = np.add.reduceat(spans["chars"], first) if len(rows) else rows
    match config.action:
        case "cut":
            leaves = sizes - removed < config.min_chars
        case "drop_partial":
            leaves = removed > config.max_repeated_fraction * sizes
        case "drop_any":
            leaves = np.ones(len(rows), np.bool_)
    addresses = np.uint64(unit.number << 32) | rows[leaves].astype(np.uint64)
    twins = repeats.twins[spans["window"][first[leaves]]]
    write_verdicts(folder, [unit], addresses, twins, removed[leaves] / sizes[leaves])
    if config.cuts:
        _write_spans(spans_path(folder / f"{unit.key}.arrow"), spans[~np.isin(spans["row"], rows[leaves])], repeats)


def _write_spans(path: Path, spans: np.ndarray, repeats: Repeats) -> None:
    if not len(spans):
        return
    columns = {name: pa.array(spans[name]) for name in ("row", "start", "end", "chars")}
    columns["twin"] = format_ids(repeats.twins[spans["window"]])
    columns["twin_start"] = pa.array(repeats.twin_starts[spans["window"]])
    with ArrowSink(path, SPANS) as sink:
        sink.write(pa.RecordBatch.from_pydict(columns, schema=SPANS))


def _spans(unit: ExchangeUnit, repeats: Repeats, config: SubstringConfig) -> tuple[np.ndarray, np.ndarray]:
    """(_SPAN by row and start, i64 characters of each row that has some, in row order)."""
    spans, sizes = [np.zeros(0, _SPAN)], [np.zeros(0, np.int64)]
    goes = ~repeats.firsts if config.keep == "first" else np.ones(len(repeats.firsts), np.bool_)
    for rows, batch in unit.batches(["text"]) if goes.any() else ():
        first, end = np.searchsorted(repeats.rows, (rows[0], rows[-1] + 1)) if len(rows) else (0, 0)
        if first == end:
            continue
        places = np.searchsorted(rows, repeats.rows[first:end])
        data, offsets = text_buffers(batch["text"])
        found = np.zeros(end - first, _SPAN)  # a span begins in a window of its own
        fields = [found[name] for name in _FIELDS]
        count = spans_of(
            data, offsets, classes(), config.length, places, repeats.starts[first:end], goes[first:end], *fields
        )
        found = found[:count]
        with_spans = np.unique(found["row"])
        sizes.append(pc.utf8_length(batch["text"].take(pa.array(with_spans))).to_numpy(zero_copy_only=False))
        found["row"], found["window"] = rows[found["row"]], found["window"] + first
        spans.append(found)
    return np.concatenate(spans), np.concatenate(sizes)


@njit(cache=True)
def spans_of(  # type: ignore[no-untyped-def]
    data, offsets, classes, length, rows, starts, goes, out_row, out_start, out_end, out_chars, out_window
):
    """Write the spans to cut of UTF-8 rows data[offsets]; returns their number, at most that of windows.

    Repeated windows are given by (row, start), ascending; `goes` tells those to cut from those that protect their
    words. `out_window` is the last window to cut that begins at or before the span.
    """
    count = window = 0
    longest = np.int64(0)
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    begins, ends = np.empty(max_words(longest), np.int64), np.empty(max_words(longest), np.int64)
    while window < len(rows):
        row = rows[window]
        num_words = word_spans(data, offsets[row], offsets[row + 1], classes, begins, ends)
        cut_until = kept_until = first = latest = 0
        inside = False
        for k in range(num_words + 1):
            if (
                k < num_words
                and window < len(rows)
                and rows[window] == row
                and starts[window] == begins[k] - offsets[row]
            ):
                if goes[window]:
                    cut_until, latest = k + length, window
                else:
                    kept_until = k + length
                window += 1
            goes_here = kept_until <= k < min(cut_until, num_words)
            if goes_here and not inside:
                first, inside = k, True
                out_row[count], out_window[count] = row, latest
            elif inside and not goes_here:
                inside = False
                start, end = _with_space(
                    data, offsets[row], offsets[row + 1], classes, begins, ends, first, k, num_words
                )
                chars = 0
                for i in range(start, end):
                    chars += (data[i] & 0xC0) != 0x80
                out_start[count], out_end[count], out_chars[count] = start - offsets[row], end - offsets[row], chars
                count += chars > 0
    return count


@njit(cache=True, inline="always")
def _with_space(data, begin, end, classes, begins, ends, first, last, num_words):  # type: ignore[no-untyped-def]
    """[start, end) of the words `first` to `last` - 1 with the white space that goes along; kept words stay apart."""
    if last == num_words:
        return (ends[first - 1] if first else begin), end
    if first == 0 or ends[first - 1] < begins[first]:
        return begins[first], begins[last]
    if ends[last - 1] < begins[last]:
        return begins[first], ends[last - 1]
    before, after = classes[decode(data, begins[first - 1])[0]], classes[decode(data, begins[last])[0]]
    # Nothing parts the words before and after but what is cut: one of that, an ideograph, stays between them.
    return begins[first], (begins[last] if IDEOGRAPH in (before, after) else begins[last - 1])
