"""datatrove's four MinHash stages as they ship against ours on the same texts.

Both find the same duplicates where documents are similar. The other cases are lines of docs/divergences.md.
"""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.rows import PEERS, ROOT, run_on
from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.run.opening import open_run
from shards.sink import open_arrow

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PEERS.exists(), reason="datatrove is not installed; `make bench-peers` installs it"),
]
RECIPE = '[source.web]\nkind = "jsonl"\n[[stage]]\nkind = "minhash"\nbands = 14\nrows = 8\n'
Kept = set[str]


def random_text(seed: object, count: int = 200) -> list[str]:
    """Words of letters alone; no two seeds share a shingle."""
    rng = random.Random(str(seed))
    return ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(count)]


def edited(words: list[str], seed: object, changes: int) -> list[str]:
    """`words` with `changes` of them replaced, far from each other, so that each changes 5 shingles."""
    rng, words = random.Random(str(seed)), list(words)
    for k in range(changes):
        words[10 + k * (len(words) - 10) // changes] = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=7))
    return words


def verdicts(texts: dict[str, str], folder: Path) -> tuple[Kept, Kept]:
    """(kept by us, kept by datatrove)."""
    inputs = folder / "texts"
    inputs.mkdir(parents=True)
    lines = [{"id": name, "url": name, "text": text} for name, text in texts.items()]
    (inputs / "0.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "recipe.toml").write_text(RECIPE)
    run = open_run(load_recipe(str(folder / "recipe.toml"), [f'source.paths="{inputs}"']), folder / "run")
    execute(run, InProcess(), lambda _: None)
    ours = {url for path in (folder / "run").glob("shards/web/*.arrow") for url in _urls(path)}
    script = ROOT / "benchmarks" / "peers" / "dedup.py"
    return ours, set(json.loads(run_on("0", [PEERS, script, "--minhash", inputs, inputs])[1])["kept"])


def _urls(path: Path) -> list[str]:
    urls: list[str] = open_arrow(path).read_all()["url"].to_pylist()
    return urls


def test_copies_and_unrelated_texts_have_the_same_verdicts(tmp_path: Path) -> None:
    """Pairs of similarity 1, .95, .5 and 0, with little chance: .95 is missed once in 10^7, .5 is found by .05."""
    texts = {}
    for k in range(60):
        words = random_text(k)
        texts[f"{k} base"] = " ".join(words)
        texts[f"{k} {'copy' if k % 3 else 'other'}"] = " ".join(
            {0: random_text(f"other {k}"), 1: words, 2: edited(words, k, 1)}[k % 3]
        )
    ours, theirs = verdicts(texts, tmp_path)
    for kept in (ours, theirs):
        assert {name for name in texts if name.endswith("other")} <= kept
        both = [k for k in range(60) if k % 3 and f"{k} base" in kept and f"{k} copy" in kept]
        assert both == []
        assert all(f"{k} base" in kept or f"{k} copy" in kept for k in range(60))
    assert len(ours) == len(theirs) == 80


@dataclass(frozen=True)
class Divergence:
    texts: list[str]
    ours: int  # texts that stay
    theirs: int


def _dissimilar() -> list[str]:
    """Forty pairs of similarity .63; each shares a band with probability .29."""
    pairs = [(random_text(f"unlike {k}"), k) for k in range(40)]
    return [" ".join(words) for base, k in pairs for words in (base, edited(base, k, 9))]


def _chain() -> list[str]:
    """Each text is similar to the next (.9), the first and the last are not (.2)."""
    words = random_text("chain", 500)
    return [" ".join(words[k : k + 300]) for k in range(0, 200, 15)]


def _numbers(first: int) -> str:
    return " ".join(word if k % 4 else str(first + k) for k, word in enumerate(random_text("numbers")))


def _accents(accent: str) -> str:
    return " ".join(word.replace("e", accent) for word in random_text("accents"))


CHINESE = "磨坊在河边，一直为山谷里的人磨面。秋天农民把麦子带给磨坊主，他用铁秤称重。水落在大轮上，轮子转动石磨。"
DIVERGENCES = {
    "pairs that share a band are not compared": Divergence(_dissimilar(), 80, 71),
    "a chain of near-duplicates is one cluster": Divergence(_chain(), 5, 1),
    "all numbers are one": Divergence([_numbers(1000), _numbers(5000)], 2, 1),
    "accents do not count": Divergence([_accents("e"), _accents("è")], 2, 1),
    "a text of fewer than five words is similar to no other": Divergence(["quzvel brontik", "Quzvel, brontik!"], 1, 2),
    "Chinese is one word up to the next mark": Divergence([CHINESE, CHINESE.replace("秋天", "冬天")], 1, 2),
}


@pytest.fixture(scope="module")
def diverging(tmp_path_factory: pytest.TempPathFactory) -> tuple[Kept, Kept]:
    texts = {f"{name}/{k}": text for name, case in DIVERGENCES.items() for k, text in enumerate(case.texts)}
    return verdicts(texts, tmp_path_factory.mktemp("diverging"))


@pytest.mark.parametrize("name", DIVERGENCES)
def test_datatrove_differs(diverging: tuple[Kept, Kept], name: str) -> None:
    ours, theirs = (sum(kept.startswith(f"{name}/") for kept in some) for some in diverging)
    assert (ours, theirs) == (DIVERGENCES[name].ours, DIVERGENCES[name].theirs)


def test_ours_keeps_the_longest_of_a_cluster_and_theirs_the_root_of_its_tree(tmp_path: Path) -> None:
    words = random_text("longest")
    texts = {"short": " ".join(words), "long": " ".join([*words, "x" * 9]), "middle": " ".join([*words, "x"])}
    assert verdicts(texts, tmp_path) == ({"long"}, {"short"})
