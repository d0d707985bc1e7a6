"""The shape of MinHash, bands × rows: it decides which pairs of documents become candidates.

    P(match)  1 ┤              ╭────        n bands of r rows match with P = 1 - (1 - J^r)^n, an S-curve over the
                │            ╭─╯            Jaccard similarity J. It rises where J^r ≈ 1/n: more bands shift it to
              0 ┼────────────╯              the left, more rows to the right and make it steep.
                0          .75   1  J

A threshold without a shape gets the shape of datasketch's `MinHashLSH`: of all with n × r ≤ `num_hashes` the one with
the smallest area of wrong answers, false positives below the threshold plus false negatives above it.
"""

from functools import cache

import numpy as np

from dedup.lsh.signatures import p_match

MAX_ROWS = 100  # .99^100 is .37: with more rows a band finds hardly anything but copies
_UNRELATED = 0.1  # Jaccard similarity of pages of one site by their menus and footers alone
_POINTS = 512


def s_curve(bands: int, rows: int) -> dict[float, float]:
    """P(match) at the similarities .5, .55 … .95."""
    return {k / 100: p_match(k / 100, bands, rows) for k in range(50, 100, 5)}


@cache
def best_shape(threshold: float, num_hashes: int) -> tuple[int, int]:
    """(bands, rows) as datasketch chooses them, with equal weight for both errors."""
    # P is a polynomial of degree n × r ≤ num_hashes, which Gauss' rule integrates exactly with half as many points.
    points, weights = np.polynomial.legendre.leggauss(min(num_hashes // 2 + 1, _POINTS))
    below, above = (points + 1) / 2 * threshold, threshold + (points + 1) / 2 * (1 - threshold)
    misses = np.concatenate([-threshold / 2 * weights, (1 - threshold) / 2 * weights])  # ∫ of 1 - P above, of P below
    least, best = np.inf, (1, 1)
    for rows in range(1, num_hashes + 1):
        of_band = 1 - np.concatenate([below, above]) ** rows
        of_all = np.ones_like(of_band)
        for bands in range(1, num_hashes // rows + 1):
            of_all *= of_band
            error = threshold + misses @ of_all
            # Equal errors go to fewer bands, which datasketch tries first.
            if error < least or (error == least and (bands, rows) < best):
                least, best = error, (bands, rows)
    return best


def refusal(bands: int, rows: int, threshold: float) -> str | None:
    """The reason why this shape cannot work, with its S-curve, on one line; None if it can."""
    if rows > MAX_ROWS:
        misread = "; the paper's '20 buckets of 450 hashes' are bands = 450, rows = 20" if 1 < bands < rows else ""
        cause = (
            f"match only documents that are almost equal, since a band matches with probability similarity^{rows}"
            f"{misread}; at most {MAX_ROWS} rows are allowed"
        )
    elif (matched := p_match(similarity := (threshold + 1) / 2, bands, rows)) < 0.5:
        # Not at the threshold itself: there datasketch's shape for .8 finds 40 % of the pairs.
        cause = (
            f"find only {matched:.1%} of the pairs of similarity {similarity:g}, halfway between the threshold and"
            " equality; give more bands or fewer rows"
        )
    elif (matched := p_match(_UNRELATED, bands, rows)) > 0.5:
        cause = (
            f"match {matched:.0%} of the pairs of similarity {_UNRELATED}, which the menus of a site reach, and to"
            " compare all these takes days; give more rows or fewer bands"
        )
    else:
        return None
    curve = ", ".join(f"{j:g}: {p:.3f}" for j, p in s_curve(bands, rows).items())
    return f"{bands} bands of {rows} rows {cause} (P(match) at {curve})"
