"""Features of context against their definitions in plain Python, with random p."""

from typing import Any

import numpy as np
import pytest
from extraction_soup import SamplePage, around, sample_page, soup
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaners.extraction.features.context import CONTEXT, context_of
from cleaners.extraction.html.tags import HEADING, RULES


def context(sample: SamplePage, p: np.ndarray) -> np.ndarray:
    return context_of(sample.page, sample.containers, sample.signatures, p)  # type: ignore[no-any-return]


def mean(p: np.ndarray, weight: np.ndarray, chosen: list[int]) -> float:
    return float((p * weight)[chosen].sum() / weight[chosen].sum()) if chosen else -1.0


def faded(p: np.ndarray, weight: np.ndarray) -> list[float]:
    """`p_before` of each block. One block fades those before it by 40 words at most."""
    found = []
    for b in range(len(p)):
        after = [sum(min(float(w), 40.0) for w in weight[k + 1 : b]) for k in range(b)]
        fade = [np.exp(-words / 30) * float(weight[k]) for k, words in enumerate(after)]
        rest = 1e-3 * np.exp(-sum(min(float(w), 40.0) for w in weight[:b]) / 30)  # of an empty start
        found.append(sum(f * float(p[k]) for k, f in enumerate(fade)) / (sum(fade) + rest))
    return found


def plain_context(sample: SamplePage, p: np.ndarray) -> dict[str, Any]:
    nodes, measures = sample.page.tree.nodes, sample.page.measured.measures
    elements = sample.page.blocks["element"].tolist()
    number = len(p)
    blocks = range(number)
    weight = measures["words"].astype(np.float64) + 0.5
    p = p.astype(np.float64)
    main = p * weight
    found: dict[str, Any] = {"p": p}
    for d in (-3, -2, -1, 1, 2, 3):
        found[f"p{d:+}"] = [p[b + d] if 0 <= b + d < number else -1 for b in blocks]
    for r in (2, 5, 12):
        found[f"p_within_{r}"] = [mean(p, weight, list(blocks)[max(0, b - r) : b + r + 1]) for b in blocks]
    for name in list(CONTEXT)[10:28]:
        found[name] = []
    for b, element in enumerate(elements):
        chain: list[list[int]] = []
        for i in [*around(nodes, element), 0]:
            held = [k for k, e in enumerate(elements) if i <= e < nodes["after"][i]]
            if not chain or len(held) > len(chain[-1]):
                chain.append(held)
        for k in range(1, 7):
            held = chain[k - 1] if k <= len(chain) else list(blocks)
            found[f"container{k}_p"].append(mean(p, weight, [o for o in held if o != b]))
            found[f"container{k}_main"].append(main[held].sum() / max(main.sum(), 1e-6))
            found[f"container{k}_most"].append(p[held].max())
    signatures = sample.signatures[elements]
    alike = [[o for o in blocks if signatures[o] == signatures[b]] for b in blocks]
    headings = [b for b in blocks if RULES[nodes["tag"][elements[b]]] & HEADING]
    lasts = [max((h for h in headings if h < b), default=None) for b in blocks]
    sure = [b for b in blocks if p[b] > np.float32(0.6) and measures["words"][b] > 8]
    return found | {
        "alike_p": [mean(p, weight, [o for o in alike[b] if o != b]) for b in blocks],
        "alike_words": [weight[a].sum() for a in alike],
        "p_before": faded(p, weight),
        "p_behind": faded(p[::-1], weight[::-1])[::-1],
        "heading_p": [-1 if last is None else p[last] for last in lasts],
        "heading_distance": [99 if last is None else min(b - last, 99) for b, last in enumerate(lasts)],
        "main_before": [main[:b].sum() / max(main.sum(), 1e-6) for b in blocks],
        "main_words": [main.sum()] * number,
        "main_share": [main.sum() / weight.sum()] * number,
        "most": [p.max()] * number,
        "p_by_most": p / max(p.max(), 1e-6),
        "since_first": [b - sure[0] if sure else -999 for b in blocks],
        "to_last": [sure[-1] - b if sure else -999 for b in blocks],
    }


def f1_of_elements(sample: SamplePage, p: np.ndarray) -> dict[int, float]:
    """The expected F1 of the blocks of each element with blocks."""
    nodes, elements = sample.page.tree.nodes, sample.page.blocks["element"]
    weight = sample.page.measured.measures["words"].astype(np.float64) + 0.5
    found = {}
    for i in range(len(nodes)):
        inside = (elements >= i) & (elements < nodes["after"][i])
        if inside.any():
            found[i] = float(2 * (p * weight)[inside].sum() / (weight[inside].sum() + (p * weight).sum() + 1e-6))
    return found


shares = st.sampled_from([0, 0.05, 0.3, 0.55, 0.7, 0.95, 1])


@settings(max_examples=100)
@given(soup, st.lists(shares, min_size=60, max_size=60))
def test_context_is_that_of_its_definitions(page: str, drawn: list[float]) -> None:
    sample = sample_page(page)
    p = np.array((drawn * 2)[: len(sample.page.blocks)], np.float32)
    x = context(sample, p)
    assert x.shape == (len(p), len(CONTEXT))
    if not len(p):
        return
    columns = dict(zip(CONTEXT, x.T, strict=True))
    plain = plain_context(sample, p)
    assert [name for name in CONTEXT if name not in plain] == ["in_best", "best_f1"]
    for name, expected in plain.items():
        assert np.allclose(columns[name], expected, rtol=1e-3, atol=1e-3), (name, columns[name].tolist(), expected)

    of_elements = f1_of_elements(sample, p)
    best = max(of_elements.values())
    assert np.allclose(columns["best_f1"], best, rtol=1e-4, atol=1e-5)
    nodes, elements = sample.page.tree.nodes, sample.page.blocks["element"]
    as_good = [i for i, f1 in of_elements.items() if f1 > best - 1e-5]
    insides = [((elements >= i) & (elements < nodes["after"][i])).tolist() for i in as_good]
    assert columns["in_best"].tolist() in insides


def test_the_best_element_is_the_article_and_not_the_page() -> None:
    sample = sample_page(
        "<nav>a b c<p>d e</nav><article><p>" + "word " * 30 + "<p>" + "word " * 20 + "</article><p>x y"
    )
    x = context(sample, np.array([0.1, 0.1, 0.9, 0.8, 0.1], np.float32))
    assert dict(zip(CONTEXT, x.T, strict=True))["in_best"].tolist() == [0, 0, 1, 1, 0]


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_a_page_of_one_block_has_no_values_of_others(p: float) -> None:
    row = dict(zip(CONTEXT, context(sample_page("<p>one"), np.array([p], np.float32))[0].tolist(), strict=True))
    assert [row[name] for name in ("p-1", "p+1", "container1_p", "container6_p", "alike_p", "heading_p")] == [-1] * 6
    assert row["main_share"] == row["p"] == p
