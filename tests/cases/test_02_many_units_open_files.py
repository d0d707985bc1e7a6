"""More units than a process may have open files: every verb goes through them with a few files open at a time."""

import json
import random
import subprocess
import sys
from hashlib import md5
from pathlib import Path

import pytest
from case_run import copy_case
from report_run import WORDS

pytest.importorskip("resource", reason="limits of open files are of Unix")
LIMIT, UNITS = 48, 60  # a process that has loaded everything has some twenty files open
CHILD = f"""
import resource, shlex, sys
from pipelines.cli import app

resource.setrlimit(resource.RLIMIT_NOFILE, ({LIMIT}, {LIMIT}))
for line in sys.stdin:
    app(shlex.split(line), standalone_mode=False)
"""
SECOND = md5(b"2").hexdigest()
EVERY_KIND = """
name = "every"

[source.rows]
kind = "jsonl"
paths = ["rows/"]

[[stage]]
kind = "url_dedup"
[[stage]]
kind = "exact"
[[stage]]
kind = "minhash"
bands = 14
rows = 8
[[stage]]
kind = "substring"
length = 20
[[stage]]
kind = "paragraphs"
[[stage]]
kind = "ngram_overlap"
[[stage]]
kind = "decontaminate"
sets = { quiz = "quiz.jsonl" }
action = "flag"
[[stage]]
kind = "rehydrate"
[[stage]]
kind = "top_share"
metric = "rehydrate.weight"
kept_fraction = 0.9
"""


def gristmill_with_few_files(folder: Path, *commands: str) -> str:
    """The output of these commands, one after the other in one process."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        input="\n".join(commands),
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_run_its_replay_and_its_readers(tmp_path: Path) -> None:
    folder = copy_case("02", tmp_path)
    (folder / "many").mkdir()
    for number in range(UNITS):
        (folder / "many" / f"{number}.warc.gz").hardlink_to(folder / "in" / "one.warc.gz")
    printed = gristmill_with_few_files(
        folder,
        "run recipe.toml --out out --executor in-process",
        "verify out",
        "report out",
        "apply out --set output.dropped_per_rule=5 --out again --executor in-process",
        "diff out again",
    )
    assert f"{UNITS} documents in, 1 kept" in printed
    assert f"{UNITS} units whole" in printed
    assert "1 document in both, 0 with another fate" in printed  # one record, read sixty times


@pytest.mark.slow
def test_every_kind_of_global_stage_and_every_verb(tmp_path: Path) -> None:
    rng = random.Random(7)
    texts = [" ".join(rng.choices(WORDS, k=60)) for _ in range(UNITS)]
    texts[1::5] = texts[::5]
    (tmp_path / "rows").mkdir()
    for number, text in enumerate(texts):
        address = f"https://site{number % 7}.example/{number % 57}"
        row = {"id": md5(b"%d" % number).hexdigest(), "url": address, "text": text}
        (tmp_path / "rows" / f"{number:03}.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "quiz.jsonl").write_text(json.dumps({"question": texts[2][:200]}) + "\n")
    (tmp_path / "every.toml").write_text(EVERY_KIND)
    printed = gristmill_with_few_files(
        tmp_path,
        "run every.toml --out out --executor in-process",
        "verify out",
        "report out",
        f"explain out {SECOND}",
        "pairs out --out pairs.csv",
        "contamination out",
        "index add index out --executor in-process",
        "index query index rows/",
        "tokenizer train out/shards --out tokenizer.json --vocab-size 300",
        "tokenize out/shards --tokenizer tokenizer.json --out tokens",
        f"remove out --id {SECOND}",
    )
    assert f"{UNITS} units whole" in printed
    assert "quiz: 1 of" in printed
    assert "1 document removed" in printed
