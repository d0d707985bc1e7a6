"""Shared by tests of stages: settings for every local kind, batches, and the reasons that rules give each row."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.core import metric_of
from shards.stage import StageConfig

GOOD = "Explain step by step how the water wheel turns the stone number {} of the mill."
BAD = "Buy cheap tickets now, click here, sale number {}, login, cart, share."
QUESTION = "Which of these animals lives the longest in the cold waters of the northern sea?"


def cases(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Settings of each local kind as a recipe gives them, one for each way in which it works.

    `folder` holds the files of `write_assets`.
    """
    compat: list[dict[str, Any]] = [{}, {"compat": "datatrove"}]
    evaluation_set = {"arc": str(folder / "set.jsonl")}
    return {
        "url": [{}],
        "page": [{}],
        "opt_out": [{"max_noindex": 0}],
        "language_guess": [{"audit_fraction": 0.5}],
        "extract": [{"engine": "gristmill", "metadata": True}, {"engine": "resiliparse"}, {"engine": "trafilatura"}],
        "language": [{}],
        "gopher_repetition": compat,
        "gopher_quality": [*compat, {"segmented": True}],
        "refinedweb_lines": [{}],
        "fineweb": compat,
        "c4": compat,
        "chinese_quality": [{}],
        "pii": [{"phones": ["zh", "ru"], "identity_numbers": ["zh", "ru"]}],
        "textfix": [{}],
        "classifier": [{"model": str(folder / "model.bin"), "min_score": 0.5}],
        "decontaminate": [{"sets": evaluation_set, "action": action} for action in ("drop", "cut", "flag")],
        "rehydrate": [{}],
    }


def write_assets(folder: Path) -> Path:
    """Write the files that `cases` names into `folder`."""
    train_classifier(folder)
    (folder / "set.jsonl").write_text(json.dumps({"question": QUESTION}) + "\n")
    return folder


def train_classifier(folder: Path) -> Path:
    """A fastText model that tells sentences like GOOD from those like BAD."""
    import fasttext

    lines = [f"__label__positive {GOOD.format(i)}\n__label__negative {BAD.format(i)}\n" for i in range(200)]
    (folder / "train").write_text("".join(lines))
    model = fasttext.train_supervised(
        str(folder / "train"), wordNgrams=2, bucket=1000, epoch=20, thread=1, seed=0, verbose=0
    )
    model.save_model(str(folder / "model.bin"))
    return folder / "model.bin"


def texts(*values: str | None) -> pa.RecordBatch:
    return pa.record_batch({"text": pa.array(values, pa.large_string())})


def reasons(config: StageConfig, batch: pa.RecordBatch) -> list[list[str]]:
    """Per row, the failing rules without the stage's name."""
    measured = config.build()(batch)
    return [
        [
            rule.reason.removeprefix(f"{config.name}.")
            for rule in config.rules()
            if (value := metric_of(rule, measured.__getitem__)[row].as_py()) is not None
            and not (
                (rule.min_kept is None or value >= rule.min_kept) and (rule.max_kept is None or value <= rule.max_kept)
            )
        ]
        for row in range(batch.num_rows)
    ]


def reasons_of(config: StageConfig, text: str) -> list[str]:
    return reasons(config, texts(text))[0]
