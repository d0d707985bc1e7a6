"""A stage opens the files of its units one by one, however many units there are."""

import pickle
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from dedup_cases import edited, make_row, random_words, read_fates

from dedup.exact import ExactConfig
from dedup.minhash import MinHashConfig
from dedup.ngram_overlap import OverlapConfig
from dedup.paragraphs import ParagraphsConfig
from dedup.same_record import SameRecordConfig
from dedup.substring import SubstringConfig
from dedup.top_share import TopShareConfig
from shards.exchange import Block, GlobalStageConfig
from shards.sink import ArrowSink, read_table

pytest.importorskip("resource", reason="limits of open files are of Unix")
CONFIGS = (
    SameRecordConfig(name="same_record"),
    ExactConfig(name="exact"),
    MinHashConfig(name="minhash", bands=14, rows=8),
    OverlapConfig(name="overlap"),
    SubstringConfig(name="substring", length=5, action="drop_any"),
    ParagraphsConfig(name="paragraphs", action="drop_any"),
    TopShareConfig(name="top_share", metric="quality.score", kept_fraction=0.5),
)
CHILD = """
import pickle, resource, sys
from pathlib import Path
from dedup_cases import InProcess

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
configs, units, folder = pickle.load(sys.stdin.buffer)
for config in configs:
    config.resolve(units, folder / config.name, InProcess(1 << 17))
"""


def with_scores(unit: Block) -> Block:
    table = read_table(unit.texts[0])
    table = table.append_column("quality.score", pa.array([len(text) % 7 / 7 for text in table["text"].to_pylist()]))
    path = unit.texts[0].with_name(f"scored-{unit.texts[0].name}")
    with ArrowSink(path, table.schema) as sink:
        for batch in table.to_batches():
            sink.write(batch)
    return replace(unit, texts=(path,))


@pytest.fixture
def units(make_units: Callable[..., list[Block]]) -> list[Block]:
    rng = random.Random(3)
    pages = [random_words(rng, 40) for _ in range(30)]
    texts = [" ".join(edited(rng, rng.choice(pages), rng.choice((0, 0, 1)))) for _ in range(300)]
    texts[280:] = texts[:20]  # twenty records are read twice
    return [with_scores(unit) for unit in make_units([make_row(k % 280, text) for k, text in enumerate(texts)], 1)]


def removed_by(config: GlobalStageConfig, units: list[Block], folder: Path) -> int:
    return len(read_fates(units, folder / config.name))


def test_300_units_are_resolved_with_64_open_files(units: list[Block], tmp_path: Path) -> None:
    handed = pickle.dumps((CONFIGS, units, tmp_path / "out"))
    subprocess.run([sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{CHILD}"], input=handed, check=True)
    removed = {config.name: removed_by(config, units, tmp_path / "out") for config in CONFIGS}
    assert removed["same_record"] == 20
    assert all(count > 100 for name, count in removed.items() if name != "same_record"), removed
