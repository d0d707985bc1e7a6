"""`gristmill tokenizer train`, `tokenize`, `pretrain` and `trace`, one after the other."""

import json
from pathlib import Path

import pytest
from command import gristmill


def test_from_shards_to_a_trained_model_and_back_to_the_crawl(
    tmp_path: Path, crawl_file: Path, recipe_file: Path
) -> None:
    pytest.importorskip("torch")
    run = tmp_path / "run"
    done = gristmill(
        "run", recipe_file, "--set", f"source.paths={crawl_file}", "--out", run, "--executor", "in-process"
    )
    assert done.returncode == 0, done.stderr
    done = gristmill("tokenizer", "train", run / "shards", "--vocab-size", "300", "--out", tmp_path / "tokenizer.json")
    assert done.returncode == 0, done.stderr
    done = gristmill(
        "tokenize",
        run / "shards",
        "--tokenizer",
        tmp_path / "tokenizer.json",
        "--out",
        tmp_path / "tokens",
        "--held-out",
        "0.3",
    )
    assert done.returncode == 0, done.stderr
    config = tmp_path / "train.toml"
    config.write_text(
        'out = "model"\nsteps = 6\nsequence_length = 64\nbatch_size = 2\ndevice = "cpu"\n'
        "[model]\nwidth = 16\nnum_layers = 1\nnum_heads = 2\nnum_kv_heads = 1\nfeed_forward_width = 32\n"
        '[source.web]\ntokens = "tokens/web"\nmax_epochs = 100\n'
    )
    done = gristmill("pretrain", config, "--set", "steps=8")
    assert done.returncode == 0, done.stderr
    assert "bits per byte" in done.stdout
    lines = [json.loads(line) for line in (tmp_path / "model" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert {"step", "loss", "tokens", "tokens_per_s", "loss_by_source"} <= lines[0].keys()
    traced = gristmill("trace", tmp_path / "model" / "train.toml", "--step", "3")
    assert traced.returncode == 0, traced.stderr
    assert "https://a.example/" in traced.stdout
