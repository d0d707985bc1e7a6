"""Places of the training order that are left out, since a spike was rolled back to before them.

    place of the order    0  1  2  3  4  5  6  7  8  9
    left out                       ▒▒▒▒▒▒▒     ▒          window [3, 6); place 8 has a row of it again, an epoch later
    place trained on      0  1  2           3     4

A pure function of the order and the windows, so that a resumed training, a trace and a proof have the same rows.
"""

import numpy as np

from pretrain.order.mixture import Mixture
from shards.errors import UserError

Windows = tuple[tuple[int, int], ...]  # [first, end) of places, in order
_CHUNK = 1 << 18


def skipped_places(mixture: Mixture, windows: Windows, num_trained: int) -> np.ndarray:
    """int64, increasing: all places that are left out before the order has `num_trained` others.

    They are those of the windows, and those that have one of their rows again. Reads the order from the first window
    on, 20 million places a second. UserError where too few rows are left.
    """
    first_row = np.cumsum([0, *(source.num_rows for source in mixture.sources)])
    left_from = np.full(first_row[-1], np.iinfo(np.int64).max)  # the place from which on a row is left out
    for first, end in reversed(windows):
        left_from[_rows(mixture, first_row, np.arange(first, end))] = first
    found: list[np.ndarray] = []
    at = num_kept = windows[0][0] if windows else num_trained
    while num_kept < num_trained:
        places = np.arange(at, at + _CHUNK)
        skipped = places[places >= left_from[_rows(mixture, first_row, places)]]
        if 2 * len(skipped) > _CHUNK:
            raise UserError("spikes: more than half of the rows are left out; begin again in another out")
        found.append(skipped)
        at, num_kept = at + _CHUNK, num_kept + _CHUNK - len(skipped)
    return np.concatenate([np.zeros(0, np.int64), *found])


def trained_places(places: np.ndarray, skipped: np.ndarray) -> np.ndarray:
    """int64[n]: the places of the order that have the `places`-th of the rows that are trained on."""
    trained: np.ndarray = places + np.searchsorted(skipped - np.arange(len(skipped)), places, side="right")
    return trained


def _rows(mixture: Mixture, first_row: np.ndarray, places: np.ndarray) -> np.ndarray:
    """int64[n]: the row at each place, numbered over all sources."""
    source, _, row = mixture.sample(places)
    rows: np.ndarray = first_row[source] + row
    return rows
