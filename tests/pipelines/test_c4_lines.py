"""The end of the C4 recipe, on texts: its line rules, one copy of each line, its page rules on what is left."""

import json
import tomllib
from importlib.resources import files
from pathlib import Path

import tomli_w

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.run.opening import open_run
from pipelines.verbs.verify import verify_run
from shards.sink import open_arrow

SHARED = ["One sentence stands in two of the pages.", "And so does another one, word for word."]
OWN = [f"This is sentence {n} of three that nobody else has." for n in ("one", "two", "three")]


def test_one_page_keeps_each_line_and_what_then_has_too_few_sentences_leaves(tmp_path: Path) -> None:
    pages = [
        [*SHARED, "It ends in its own way."],
        [SHARED[0].upper(), "Menu", SHARED[1], "It ends in another way."],
        OWN,
    ]
    source = tmp_path / "pages.jsonl"
    source.write_text("".join(json.dumps({"id": str(k), "text": "\n".join(p)}) + "\n" for k, p in enumerate(pages)))
    c4 = tomllib.loads(files("pipelines.recipes").joinpath("c4.toml").read_text())
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(tomli_w.dumps({"source": {"web": {"kind": "jsonl"}}, "stage": c4["stage"][-3:]}))
    out = tmp_path / "run"
    execute(open_run(load_recipe(str(recipe), [f'source.paths="{source}"']), out), InProcess(), lambda _: None)
    assert verify_run(out) == (1, [])
    rows = [row for path in out.glob("ledger/*.arrow") for row in open_arrow(path).read_all().to_pylist()]
    assert sorted(row["drop_reasons"] for row in rows) == [[], [], ["c4_left.too_few_sentences"]]
    texts = [row["text"] for path in out.glob("shards/*/*.arrow") for row in open_arrow(path).read_all().to_pylist()]
    either = ["\n".join(line for line in page if line != "Menu") for page in pages[:2]]
    assert "\n".join(OWN) in texts
    assert set(texts) & set(either)
