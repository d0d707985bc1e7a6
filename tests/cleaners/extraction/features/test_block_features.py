"""Features against their definitions in plain Python, column by column, on tag soup; invariants on real pages."""

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extraction_pages import real_pages
from extraction_soup import SamplePage, around, is_element, random_models, sample_page, soup
from hypothesis import given, settings

from cleaners.extraction.choice import choose, drop_copies
from cleaners.extraction.features.block_features import features_of
from cleaners.extraction.features.columns import FEATURES, GROUPS, OFFSETS
from cleaners.extraction.features.comment_marks import in_comments
from cleaners.extraction.features.context import CONTEXT, context_of
from cleaners.extraction.features.hashing import hash_of
from cleaners.extraction.features.linear import score_of_path, score_of_words
from cleaners.extraction.features.measures import MAX_WORDS, MEASURE, hash_words
from cleaners.extraction.forest import Trees, forest_of, predict
from cleaners.extraction.html import attributes, tags
from cleaners.extraction.html.nodes import ARIA_HIDDEN, FOREIGN, HIDDEN
from cleaners.extraction.html.tags import HEADING, RULES, TAGS
from cleaners.extraction.training.labels import labels_of

MODELS = random_models()
PATHS, WORDS = MODELS.paths, MODELS.words


def features(sample: SamplePage) -> np.ndarray:
    return features_of(sample.data, sample.page, sample.containers, MODELS)  # type: ignore[no-any-return]


def agree(page: str, plain: Any) -> None:
    """Check that the columns of `plain(sample)`, name to a value a block, are those of `features_of`."""
    sample = sample_page(page)
    if not len(sample.page.blocks):
        return
    x = features(sample)
    for name, expected in plain(sample).items():
        column = x[:, list(FEATURES).index(name)]
        assert np.allclose(column, expected, rtol=1e-4, atol=1e-4), (name, column.tolist(), list(expected))


def elements_of(sample: SamplePage) -> list[int]:
    return sample.page.blocks["element"].tolist()  # type: ignore[no-any-return]


def share(part: Any, whole: Any) -> Any:
    return part / np.maximum(whole, 1)


def plain_own(sample: SamplePage) -> dict[str, Any]:
    nodes, m = sample.page.tree.nodes, sample.page.measured.measures
    elements, tag = elements_of(sample), nodes["tag"]
    inner = nodes["parent"][sample.page.texts[sample.page.blocks["first"]]]
    same = "links ending commas copyright currency breaks words".split()
    return {name: m[name] for name in same} | {
        "log_chars": np.log1p(m["chars"]),
        "link_share": share(m["link_chars"], m["chars"]),
        "punctuation": share(m["punctuation"], m["words"]),
        "digit_share": share(m["digits"], m["chars"]),
        "symbol_share": share(m["symbols"], m["chars"]),
        "capitalised": share(m["capitalised"], m["words"]),
        "all_caps": share(m["all_caps"], m["words"]),
        "word_length": share(m["word_chars"], m["words"]),
        "stop_words": share(m["stop_words"], m["words"]),
        "texts": sample.page.blocks["end"] - sample.page.blocks["first"],
        "beyond_ascii": share(m["beyond_ascii"], m["chars"]),
        "bold_share": share(m["bold_chars"], m["chars"]),
        "hidden_text": m["hidden"],
        "words_per_line": m["words"] / (m["breaks"] + 1),
        "tag": GROUPS[tag[elements]],
        "inline_tag": np.where(inner != elements, tag[inner], 0),
        "parent_tag": GROUPS[tag[nodes["parent"][elements]]],
    }


AROUND = {
    **{name: [name] for name in "nav header footer aside main article form table figure".split()},
    "list": ["ul", "ol", "dl"],
    "quote": ["blockquote"],
    "code": ["pre", "code"],
    "control": ["label", "button", "option", "select"],
    "dialog": ["dialog", "noscript", "template"],
    "div": ["div", "section"],
}


def plain_around(sample: SamplePage) -> dict[str, Any]:
    nodes, elements = sample.page.tree.nodes, elements_of(sample)
    above = [[int(nodes["tag"][i]) for i in around(nodes, element)] for element in elements]
    flags = nodes["flags"][elements]
    return {
        name: [sum(tag == TAGS[n] for tag in a for n in names) for a in above] for name, names in AROUND.items()
    } | {
        "hidden": (flags & HIDDEN > 0) + 2 * (flags & ARIA_HIDDEN > 0),
        "depth": [len(a) for a in above],
    }


def plain_place(sample: SamplePage) -> dict[str, Any]:
    nodes, m = sample.page.tree.nodes, sample.page.measured.measures
    tag, chars, words = nodes["tag"][elements_of(sample)], m["chars"], m["words"]
    number = len(tag)
    headings = [b for b in range(number) if RULES[tag[b]] & HEADING]
    h1 = next((b for b in headings if tag[b] == TAGS["h1"]), None)
    lasts = [max((h for h in headings if h <= b), default=None) for b in range(number)]
    score = [score_of_words(sample.page.measured, b, WORDS)[0] for b in range(number)]
    return {
        "index": range(number),
        "share_of_blocks": np.arange(number) / number,
        "share_of_text": [share(chars[:b].sum(), chars.sum()) for b in range(number)],
        "after_h1": [0 if h1 is None else 1 if b > h1 else 2 if b == h1 else 3 for b in range(number)],
        "since_heading": [99 if last is None else min(b - last, 99) for b, last in enumerate(lasts)],
        "heading_level": [0 if last is None else int(tags.NAMES[tag[last] - tags.UNKNOWN - 1][1]) for last in lasts],
        "heading": [b in headings for b in range(number)],
        "since_h1": [-999 if h1 is None else b - h1 for b in range(number)],
        "to_end": [number - b for b in range(number)],
        "words_since_heading": [words[last or 0 : b].sum() for b, last in enumerate(lasts)],
        "heading_score": [0 if last is None else score[last] for last in lasts],
    }


def is_prose(sample: SamplePage) -> np.ndarray:
    tag, m = sample.page.tree.nodes["tag"][elements_of(sample)], sample.page.measured.measures
    return (tag == tags.P) | ((m["words"] > 25) & (m["link_chars"] < 0.3 * m["chars"]))  # type: ignore[no-any-return]


def plain_containers(sample: SamplePage) -> dict[str, Any]:
    nodes, m = sample.page.tree.nodes, sample.page.measured.measures
    elements, prose = elements_of(sample), is_prose(sample)
    found: dict[str, list[float]] = {name: [] for name in FEATURES if name.startswith("container")}
    for element in elements:
        chain: list[list[int]] = []
        for i in [*around(nodes, element), 0]:
            held = [b for b, e in enumerate(elements) if i <= e < nodes["after"][i]]
            if not chain or len(held) > len(chain[-1]):
                chain.append(held)
        for k in range(1, 6):
            held = chain[k - 1] if k <= len(chain) else list(range(len(elements)))
            chars = m["chars"][held].sum()
            found[f"container{k}_log_chars"].append(np.log1p(chars))
            found[f"container{k}_link_share"].append(share(m["link_chars"][held].sum(), chars))
            found[f"container{k}_blocks"].append(len(held))
            found[f"container{k}_share"].append(share(chars, m["chars"].sum()))
            found[f"container{k}_prose_share"].append(share((m["chars"] * prose)[held].sum(), chars))
    return found


def plain_likeness(sample: SamplePage) -> dict[str, Any]:
    data, page = sample.data, sample.page
    nodes, kept = page.tree
    measured = page.measured
    signature: dict[int, Any] = {}
    for i, node in enumerate(nodes):
        if is_element(nodes, i):
            classes = [
                bytes(c for c in data[a["start"] : a["end"]].tolist() if not 48 <= c <= 57)
                for a in kept[node["first_attribute"] : node["end_attribute"]]
                if a["name"] == attributes.CLASS
            ]
            signature[i] = (int(node["tag"]), b"".join(classes))
    parent = nodes["parent"]
    alike = {i: (own, signature[parent[i]]) if i else None for i, own in signature.items()}
    sibling = {i: (own, parent[i]) for i, own in signature.items()}
    num_alike, num_siblings = Counter(alike.values()), Counter(sibling.values())
    title = np.zeros(MAX_WORDS, np.uint32)
    titles = [
        i
        for i, node in enumerate(nodes)
        if node["tag"] == tags.TITLE and not nodes["flags"][node["parent"]] & FOREIGN and node["after"] > i + 1
    ]
    title = title[: hash_words(data, nodes, titles[0] + 1, title)] if titles else title[:0]
    hashes = measured.measures["hash"].tolist()
    found: dict[str, list[float]] = {name: [] for name in list(FEATURES)[list(FEATURES).index("alike") :][:7]}
    for b, i in enumerate(elements_of(sample)):
        words = measured.words[measured.offsets[b] : measured.offsets[b + 1]].tolist()
        common = sum(word in title.tolist() for word in words)
        overlap = 0.0
        if len(title) and 0 < len(words) < MAX_WORDS:
            overlap = common / len(words) * min(1.0, common / max(1.0, len(title) / 2))
        own_siblings = [num_siblings[sibling[k]] for k in around(nodes, i)]
        values = [
            *(num_alike[alike[k]] for k in (i, max(parent[i], 0), max(parent[max(parent[i], 0)], 0))),
            *(own_siblings[0], max(own_siblings), hashes.count(hashes[b]), overlap),
        ]
        for name, value in zip(found, values, strict=True):
            found[name].append(value)
    return found


def plain_neighbours(sample: SamplePage) -> dict[str, Any]:
    m, number = sample.page.measured.measures, len(sample.page.blocks)
    own = plain_own(sample)
    found = {
        f"block{d:+}_{name}": [own[name][b + d] if 0 <= b + d < number else -1 for b in range(number)]
        for d in OFFSETS
        for name in ("words", "link_share", "punctuation", "tag")
    }
    for radius in (5, 12):
        near = [slice(max(0, b - radius), b + radius + 1) for b in range(number)]
        found[f"words_within_{radius}"] = [m["words"][s].sum() for s in near]
        found[f"link_share_within_{radius}"] = [share(m["link_chars"][s].sum(), m["chars"][s].sum()) for s in near]
        if radius == 5:
            found["punctuation_within_5"] = [share(m["punctuation"][s].sum(), m["words"][s].sum()) for s in near]
    return found


def plain_scores(sample: SamplePage) -> dict[str, Any]:
    nodes, elements = sample.page.tree.nodes, elements_of(sample)
    paths = [[score_of_path(sample.page, i, PATHS) for i in around(nodes, element)] for element in elements]
    words = [score_of_words(sample.page.measured, b, WORDS) for b in range(len(elements))]
    near = [sum(score for score, _ in words[max(0, b - 5) : b + 6]) / 11 for b in range(len(elements))]
    blocks = sample.page.blocks
    inner = [
        np.mean(
            [
                sum(score_of_path(sample.page, i, PATHS) for i in around(nodes, nodes["parent"][text]) if i > element)
                for text in sample.page.texts[blocks["first"][b] : blocks["end"][b]]
            ]
        )
        for b, element in enumerate(elements)
    ]
    return {
        "inner_path_score": inner,
        "path_score": [sum(path) for path in paths],
        "own_path_score": [path[0] for path in paths],
        "parent_path_score": [path[1] if len(path) > 1 else 0 for path in paths],
        "least_path_score": [min(0, *path) for path in paths],
        "most_path_score": [max(0, *path) for path in paths],
        "text_score": [score for score, _ in words],
        "strongest_word": [strongest for _, strongest in words],
        "text_score_within_5": near,
    }


def plain_comments(sample: SamplePage) -> dict[str, Any]:
    measures, tags_ = sample.page.measured.measures, sample.page.tree.nodes["tag"]
    inside = in_comments(sample.page, sample.containers)
    prose = (tags_[elements_of(sample)] == tags.P) | (
        (measures["words"] > 25) & (measures["link_chars"] < 0.3 * measures["chars"])
    )
    words = measures["words"]
    outside = words[prose & ~inside].sum() / words[prose].sum() if words[prose].sum() else -1
    return {
        "in_comments": inside,
        "since_comments": np.arange(len(inside)) - inside.argmax() if inside.any() else [-999] * len(inside),
        "comment_share": [words[inside].sum() / max(words.sum(), 1)] * len(inside),
        "prose_outside": [outside] * len(inside),
    }


def plain_item_groups(sample: SamplePage) -> dict[str, Any]:
    nodes, held = sample.page.tree.nodes, sample.containers
    signatures = sample.page.signatures

    def group(node: int) -> list[int]:
        """The elements with text that are like the node in its parent."""
        return [
            i
            for i in range(len(nodes))
            if is_element(nodes, i)
            and held.chars[i] > 0
            and (signatures[i], max(nodes["parent"][i], 0)) == (signatures[node], max(nodes["parent"][node], 0))
        ]

    out: dict[str, list[float]] = {f"{which}_group_{name}": [] for which in ("largest", "outermost") for name in GROUP}
    for element in elements_of(sample):
        groups = [group(i) for i in around(nodes, element)]
        largest = max((g for g in groups if len(g) >= 2), key=len, default=None)  # the innermost of equal ones
        outermost = next((g for g in reversed(groups) if len(g) >= 3), None)
        for which, found in (("largest", largest), ("outermost", outermost)):
            values: list[float] = [-1.0] * len(GROUP)
            if found is not None:
                chars, links, prose = (part[found].sum() for part in (held.chars, held.link_chars, held.prose))
                values = [len(found), chars / len(found), links / chars, chars / held.chars[0], prose / chars]
            for name, value in zip(GROUP, values, strict=True):
                out[f"{which}_group_{name}"].append(value)
    return out


GROUP = "items chars link_share share prose_share".split()


def plain_lead(sample: SamplePage) -> dict[str, Any]:
    number, nodes, measured = len(sample.page.blocks), sample.page.tree.nodes, sample.page.measured
    overlaps = plain_likeness(sample)["title_overlap"]
    titles = [
        overlap * (1.3 if RULES[nodes["tag"][element]] & HEADING else 1)
        for overlap, element in zip(overlaps, elements_of(sample), strict=True)
    ]
    said = [hash_of(word) for word in "one sentence some words of москвы that is the end".split()]
    has_one = b"name=Description" in sample.data.tobytes() and _described(sample)
    shares = []
    for b in range(number):
        words = measured.words[measured.offsets[b] : measured.offsets[b + 1]].tolist()
        common = sum(word in said for word in words)
        shares.append(-1.0 if not has_one else common / max(len(words), len(said)) if len(words) >= 4 else 0.0)
    return {
        "lead_title": [max(titles)] * number,
        "lead_since_title": np.arange(number) - np.argmax(titles) if max(titles) > 0 else [-999] * number,
        "lead_description": shares,
        "lead_since_description": np.arange(number) - np.argmax(shares) if max(shares) > 0 else [-999] * number,
    }


def _described(sample: SamplePage) -> bool:
    nodes, kept = sample.page.tree.nodes, sample.page.tree.attributes
    return any(
        nodes["tag"][i] == TAGS["meta"]
        and any(
            sample.data[kept[k]["start"] : kept[k]["end"]].tobytes() == b"Description"
            for k in range(nodes["first_attribute"][i], nodes["end_attribute"][i])
        )
        for i in range(len(nodes))
    )


def plain_page(sample: SamplePage) -> dict[str, Any]:
    nodes, m = sample.page.tree.nodes, sample.page.measured.measures
    elements, prose = elements_of(sample), is_prose(sample)
    tag = nodes["tag"][elements]
    of_all = Counter(nodes["tag"].tolist())
    prose_chars = m["chars"] * prose
    held = [
        prose_chars[[i <= e < nodes["after"][i] for e in elements]].sum()
        for i in range(2, len(nodes))
        if is_element(nodes, i) and nodes["parent"][i] > 0
    ]
    chars = m["chars"].sum()
    counted = {"links": "a", "images": "img", "inputs": "input", "articles": "article", "mains": "main"}
    found = {
        "log_chars": np.log1p(chars),
        "link_share": share(m["link_chars"].sum(), chars),
        "blocks": len(elements),
        "paragraphs": prose.sum(),
        "headings": np.count_nonzero(RULES[tag] & HEADING),
        "h2": np.count_nonzero(tag == TAGS["h2"]),
        "items": np.count_nonzero(tag == TAGS["li"]),
        **{name: of_all[TAGS[tag]] for name, tag in counted.items()},
        "log_prose": np.log1p(prose_chars.sum()),
        "prose_share": share(prose_chars.sum(), chars),
        "blocks_per_node": len(elements) / len(nodes),
        "largest_prose": share(max(held, default=0), chars),
    }
    return {f"page_{name}": np.full(len(elements), value) for name, value in found.items()}


@pytest.mark.parametrize(
    "plain",
    [
        plain_own,
        plain_around,
        plain_place,
        plain_containers,
        plain_likeness,
        plain_neighbours,
        plain_scores,
        plain_comments,
        plain_item_groups,
        plain_lead,
        plain_page,
    ],
)
def test_columns_are_those_of_their_definitions(plain: Any) -> None:
    @settings(max_examples=60)
    @given(soup)
    def check(page: str) -> None:
        agree(page, plain)

    check()


def test_every_feature_has_a_definition_here_except_kinds_of_pages() -> None:
    sample = sample_page("<p>a")
    plain = [plain_own, plain_around, plain_place, plain_containers, plain_likeness, plain_neighbours, plain_scores]
    plain += [plain_comments, plain_item_groups, plain_lead, plain_page]
    defined = {name for found in plain for name in found(sample)}
    assert [name for name in FEATURES if name not in defined] == [
        "page_kind",
        *(f"page_ld_{kind}" for kind in "article product forum list organisation recipe".split()),
        *(f"kind_{kind}" for kind in "thread list product service".split()),
    ]


@pytest.mark.parametrize("page", ["", " ", "<title>t</title>", "<script>x</script>", "<!-- a -->"])
def test_a_page_without_text_gives_no_rows(page: str) -> None:
    sample = sample_page(page)
    assert features(sample).shape == (0, len(FEATURES))
    assert context_of(sample.page, sample.containers, sample.signatures, np.empty(0, np.float32)).shape == (
        0,
        len(CONTEXT),
    )


def test_features_do_not_depend_on_the_bytes_around_a_page() -> None:
    page = b"<title>x y</title><h1>x</h1><p class=a id=b>x y, z.<p class=a>z"
    alone = features(sample_page(page))
    for before, after in ((b"", b"<p>q"), (b"<p>" * 7, b""), (b"<b", b">\xff")):
        data = np.frombuffer(before + page + after, np.uint8)[len(before) : len(before) + len(page)]
        assert np.array_equal(features(sample_page(data.tobytes())), alone)
        sample = sample_page(page)._replace(data=data)
        assert np.array_equal(features(sample), alone)


@pytest.mark.real
def test_features_of_real_pages_are_finite_and_independent_of_other_pages(real_data: Path) -> None:
    pages = [page for part in (0, 4) for page in real_pages(real_data, part, 25)]
    assert len(pages) == 50
    first = [features(sample_page(page)) for page in pages]
    assert sum(map(len, first)) > 5_000
    assert all(np.isfinite(x).all() for x in first)
    for page, x in reversed(list(zip(pages, first, strict=True))):
        assert np.array_equal(features(sample_page(page)), x)


BOMBS = {
    "blocks in a deep element": "<div>" * 12_000 + "<p>a" * 12_000,
    "a block at every depth": "<div>a" * 20_000,
    "deep inline elements": "<b>" * 500 + "<p>a" * 20_000,
    "one text in many elements": "<b>a</b>" * 15_000,
    "classes": "<p class='" + "ab-" * 30_000 + "'>a",
    "identifiers": "<p id=a-b-c class='d e' role=f>a" * 3_000,
    "equal texts": "<p>a b c d e f" * 8_000,
    "line breaks": "a<br>" * 20_000,
    "open types": "<script type=application/ld+json>" + '"@type":' * 12_000 + "</script>a",
    "a long title": "<title>" + "a " * 20_000 + "</title>" + "<p>a b c" * 8_000,
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_bomb_has_finite_features_and_context(bomb: str) -> None:
    """A step that is quadratic takes minutes here."""
    sample = sample_page(bomb)
    x = features(sample)
    p = np.full(len(x), 0.5, np.float32)
    assert np.isfinite(x).all()
    assert np.isfinite(context_of(sample.page, sample.containers, sample.signatures, p)).all()


def chain_forest() -> Any:
    """Trees that split each column at -1, 0.5 and 3, so that every column is read."""
    number = len(FEATURES) + len(CONTEXT)
    split = np.repeat(np.arange(number), 3)
    nodes = np.full((number * 3, 7), -1, np.int16)
    nodes[:, 0], nodes[:, 1], nodes[:, 3] = split, split, split
    tree_thresholds = np.tile(np.array([-1, 0.5, 3], np.float32), number * 3)
    return forest_of(
        Trees(
            np.full(number * 3, 7, np.uint16),
            nodes.ravel(),
            tree_thresholds,
            np.tile(np.linspace(-0.1, 0.1, 4, dtype=np.float32), number * 3),
        )
    )


def run_kernels(page: bytes, forest: Any) -> None:
    sample = sample_page(page)
    x = features(sample)
    p = np.random.default_rng(len(x)).random(len(x)).astype(np.float32)
    context = context_of(sample.page, sample.containers, sample.signatures, p)
    second = predict(forest, np.concatenate([x, context], axis=1))
    chosen = choose(sample.page.measured.measures, second)
    drop_copies(sample.page.measured.measures, chosen)
    labels_of(page, sample.page, "Text fett und kursiv & mehr\nOne sentence of it")
    assert all(np.isfinite(values).all() for values in (x, context, second))


@pytest.mark.slow
@pytest.mark.real
def test_kernels_stay_in_bounds_on_mutated_pages(real_data: Path, tmp_path: Path) -> None:
    """Runs in a process of its own, which compiles the kernels with bounds checks."""
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    checks = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_OPT": "1", "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, __file__, str(real_data)], env=os.environ | checks, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]


if __name__ == "__main__":
    from tests.cleaners.extraction.test_fuzz import BOMBS as TAGS_WITHOUT_END
    from tests.cleaners.extraction.test_fuzz import SEED, mutated

    forest, draw = chain_forest(), random.Random(23)
    with pytest.raises(IndexError):
        choose(np.zeros(0, MEASURE), np.ones(1, np.float32))  # bounds are checked
    for bomb in [*BOMBS.values(), *((bomb + "a") * 200 for bomb in TAGS_WITHOUT_END.values())]:
        run_kernels(bomb[:20_000].encode(), forest)
    pages = [page for part in range(8) for page in real_pages(Path(sys.argv[1]), part, 10) if page]
    for _ in range(600):
        page = draw.choice([SEED.encode(), *pages])
        at = draw.randrange(max(1, len(page) - 1000))
        run_kernels(mutated(page[at : at + draw.randint(1000, 4000)], draw), forest)
