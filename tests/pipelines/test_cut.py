"""Passages that a global stage cuts are gone from what is read next, and counted wherever texts are counted."""

import json
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from run_digest import digest

from pipelines.executors import InProcess, ProcessPool
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.run.opening import open_run
from pipelines.verbs.verify import verify_run
from shards.errors import RunError
from shards.sink import open_arrow

CUT = """
[[stage]]
kind = "substring"
length = 8
"""
MEASURE = """
[[stage]]
kind = "gopher_quality"
min_words = 6
min_mean_word_length = 1
min_alpha_word_fraction = 0
min_stop_words = 0
"""
EXACT = """
[[stage]]
kind = "exact"
"""


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Three files of documents, most with a passage of another one."""
    rng = random.Random(9)
    passages = [" ".join(f"p{rng.randrange(10_000)}" for _ in range(12)) for _ in range(6)]
    for name in "abc":
        lines = []
        for k in range(20):
            own = [" ".join(f"w{rng.randrange(10_000)}ü" for _ in range(rng.choice([0, 3, 30]))) for _ in range(2)]
            lines.append({"id": f"{name}{k}", "text": f"{own[0]}\n{rng.choice(passages)}\n{own[1]}".strip()})
        path = tmp_path / "texts" / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path / "texts"


def start(texts: Path, out: Path, stages: str, executor: InProcess | ProcessPool | None = None) -> Path:
    recipe = out.parent / "recipe.toml"
    recipe.write_text('[source.web]\nkind = "jsonl"\n' + stages)
    run = open_run(load_recipe(str(recipe), [f'source.paths="{texts}"']), out)
    execute(run, executor or InProcess(), lambda _: None)
    return out


def rows(run: Path, what: str) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for p in sorted(run.glob(f"{what}/*.arrow")) for row in open_arrow(p).read_all().to_pylist()}


@pytest.mark.parametrize("stages", [CUT, CUT + MEASURE, CUT + EXACT, MEASURE + CUT + EXACT + MEASURE.replace(
    '"gopher_quality"', '"gopher_quality"\nname = "again"')])  # fmt: skip
def test_counts_are_those_of_the_cut_texts(texts: Path, tmp_path: Path, stages: str) -> None:
    run = start(texts, tmp_path / "run", stages)
    assert verify_run(run) == (3, [])
    shards, ledger = rows(run, "shards/web"), rows(run, "ledger")
    report = json.loads((run / "report.json").read_bytes())
    assert {id for id, row in ledger.items() if not row["drop_reasons"]} == shards.keys()
    assert report["documents"]["input"] == 60 == len(shards) + sum(report["dropped"].values())
    assert report["dropped"]["dedup.substring"] > 3
    for id, row in shards.items():
        assert ledger[id]["text_chars"] == len(row["text"])
        assert ledger[id]["text_bytes"] == len(row["text"].encode())
    cut = [row for row in ledger.values() if row["substring.spans"]]
    assert len(cut) > 20
    assert all((row["substring.removed_chars"] > 40) == (row in cut) for row in ledger.values() if row["id"] in shards)
    assert all(row["substring.spans"] is None for row in ledger.values() if row["drop_reasons"] == ["dedup.substring"])
    last = report["funnel"][-1]
    assert last["documents"] == len(shards)
    assert last["characters"] == sum(len(row["text"]) for row in shards.values())
    assert last["bytes"] == sum(len(row["text"].encode()) for row in shards.values())
    seen = " ".join(row["text"] for row in shards.values()).split()
    assert len([word for word in seen if word.startswith("p")]) == len({word for word in seen if word.startswith("p")})


def test_what_is_masked_stays_in_the_text_and_its_counts_reach_shard_and_ledger(texts: Path, tmp_path: Path) -> None:
    run = start(texts, tmp_path / "run", CUT + 'action = "mask"\n' + MEASURE)
    plain = start(texts, tmp_path / "plain", MEASURE)
    assert verify_run(run) == (3, [])
    shards, ledger, unmasked = rows(run, "shards/web"), rows(run, "ledger"), rows(plain, "shards/web")
    assert {id: row["text"] for id, row in shards.items()} == {id: row["text"] for id, row in unmasked.items()}
    masked = [id for id, row in shards.items() if row["masked"]]
    assert len(masked) > 20
    for id, row in shards.items():
        text, places = row["text"].encode(), row["masked"]
        spans = [text[a:b].decode() for a, b in zip(places[::2], places[1::2], strict=True)]
        assert (row["substring.masked_spans"], row["substring.masked_chars"]) == (len(spans), sum(map(len, spans)))
        assert ledger[id]["masked"] == places
        assert ledger[id]["substring.masked_chars"] == row["substring.masked_chars"]
        assert ledger[id]["text_chars"] == len(row["text"])


def test_the_next_pass_measures_the_cut_text(texts: Path, tmp_path: Path) -> None:
    run = start(texts, tmp_path / "run", CUT + MEASURE)
    for id, row in rows(run, "shards/web").items():
        assert rows(run, "ledger")[id]["gopher_quality.word_count"] == len(row["text"].split())
    dropped = open_arrow(run / "dropped/texts.arrow").read_all()
    short = dropped.filter(pc.equal(pc.list_element(dropped["drop_reasons"], 0), "gopher_quality.too_few_words"))
    assert short.num_rows > 0
    assert all(len(text.split()) < 6 for text in short["text"].to_pylist())


def test_the_pool_and_a_kill_before_any_rename_give_the_same_bytes(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one process: the k-th rename of each attempt raises instead, until an attempt ends."""
    stages = CUT + EXACT + MEASURE
    wanted = digest(start(texts, tmp_path / "calm", stages))
    assert digest(start(texts, tmp_path / "pool", stages, ProcessPool(2))) == wanted
    real, left = Path.replace, [0]

    def replace(self: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] == 0:
            raise InterruptedError("killed")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    for step in (7, 12):
        out = tmp_path / f"killed-{step}"
        kills = 0
        while not (out / "report.json").exists():
            left[0] = step + 9 * kills
            with suppress(RunError):
                start(texts, out, stages)
            kills += 1
            assert kills < 100
        assert kills > 3
        left[0] = 0
        start(texts, out, stages)
        assert digest(out) == wanted
