"""`gristmill tokenizer`, `tokenize`, `pretrain` and `trace`, one after the other."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command import gristmill
from corpus import make_texts, write_shard
from foreign_tokenizers import write
from ray_cluster import ray_cluster

from pretrain.tokenizing.tokenize import tokenize_shards
from pretrain.tokenizing.tokenizer_training import train_tokenizer
from shards.sink import read_table


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
        'out = "model"\nsteps = 6\nsequence_length = 64\nbatch_size = 2\n'
        '[device]\nkind = "cpu"\n'
        "[model]\nwidth = 16\nnum_layers = 1\nnum_heads = 2\nnum_kv_heads = 1\nfeed_forward_width = 32\n"
        '[source.web]\ntokens = "tokens/web"\nmax_epochs = 100\n'
    )
    ledger = gristmill("mixture", config)
    assert ledger.returncode == 0, ledger.stderr
    assert "web" in ledger.stdout
    refused = gristmill("mixture", config, "--set", "source.web.max_epochs=0.01")
    assert refused.returncode == 2
    assert "web" in refused.stdout, "the table comes before the refusal"
    assert "max_epochs = 0.01" in refused.stderr
    done = gristmill("pretrain", config, "--set", "steps=8")
    assert done.returncode == 0, done.stderr
    assert "bits per byte" in done.stdout
    plan, _, rest = done.stdout.partition("8 steps of 128 tokens, 1,024 in all")
    assert rest, "the plan comes before the first step"
    assert "epochs" in plan
    lines = [json.loads(line) for line in (tmp_path / "model" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert {"step", "loss", "tokens", "tokens_per_s", "loss_by_source"} <= lines[0].keys()
    assert "step 8 of 8: loss " in done.stderr
    assert "bits per byte" in done.stderr
    page = (tmp_path / "model" / "report.html").read_text(encoding="utf-8")
    assert ">finished</span>" in page, "written when the training ended"
    assert "<h2>Sources</h2>" in page
    reported = gristmill("report", tmp_path / "model")
    assert reported.stdout.split() == ["wrote", f"{tmp_path / 'model' / 'report.html'}"]
    traced = gristmill("trace", tmp_path / "model", "--step", "3", "--rank", "1", "--world", "2", "--text")
    assert traced.returncode == 0, traced.stderr
    piece, text, *_ = traced.stdout.splitlines()
    found = re.fullmatch(
        r"row 1: web epoch \d+ ([0-9a-f]{32}) tokens \d+-\d+ (https://a\.example/\d) unit web-00000-000 row (\d+) "
        r"a\.warc\.gz offset (\d+)",
        piece,
    )
    assert found, piece
    row = read_table(run / "ledger" / "web-00000-000.arrow").slice(int(found[3]), 1).to_pylist()[0]
    assert (row["id"], row["url"], str(row["warc_offset"])) == (found[1], found[2], found[4])
    document = [part["text"] for part in read_table(run / "shards/web/web-00000-000.arrow").to_pylist()]
    proved = gristmill("verify-run", tmp_path / "model")
    assert (proved.returncode, proved.stderr) == (0, "")
    assert "model: 8 steps, " in proved.stdout
    assert proved.stdout.endswith(": each row as planned\n")
    metrics = tmp_path / "model" / "metrics.jsonl"
    metrics.write_text("".join(json.dumps(line | {"tokens": 5}) + "\n" for line in lines))
    refuted = gristmill("verify-run", tmp_path / "model")
    assert (refuted.returncode, refuted.stderr) == (1, "")
    assert len(refuted.stdout.splitlines()) == 8
    assert f"{metrics}: step 8: 5 tokens so far, by the plan " in refuted.stdout
    assert any(text.strip().split("\\n")[0].removesuffix("<|eos|>") in one for one in document)


def test_a_tokenizer_is_trained_by_the_weights_of_a_training_file(tmp_path: Path) -> None:
    for source in ("en", "ru"):
        write_shard(tmp_path / "run" / source / "a.arrow", make_texts(source, 200))
    config = tmp_path / "train.toml"
    config.write_text(
        'out = "model"\nsteps = 6\nsequence_length = 64\nbatch_size = 2\n[model]\npreset = "1m"\n'
        '[source.english]\ntokens = "tokens/en"\nweight = 3\n[source.ru]\ntokens = "tokens/ru"\n'
    )
    words = ("tokenizer", "train", tmp_path / "run", "--vocab-size", "300", "--sample-mb", "1")
    made = []
    for weights in (["--weights", config], ["--weights", "en=.75", "--weights", "ru=.25"], []):
        done = gristmill(*words, *weights, "--digits", "1", "--out", tmp_path / "t.json", "--memory", "1GB")
        assert done.returncode == 0, done.stderr
        assert "source en: has " in done.stderr or not weights
        made.append((tmp_path / "t.json").read_bytes())
    assert made[0] == made[1]
    done = gristmill(*words, "--weights", "en")
    assert (done.returncode, done.stderr) == (2, "gristmill: --weights en: expected SOURCE=NUMBER or a TRAIN.toml\n")


def test_a_tokenizer_is_extended_and_measured(tmp_path: Path) -> None:
    base = write("llama3", tmp_path)
    write_shard(tmp_path / "run" / "ru" / "a.arrow", make_texts("ru", 200))
    extended = tmp_path / "t.json"
    done = gristmill("tokenizer", "extend", base, tmp_path / "run", "--add", "30", "--out", extended)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"wrote {extended}: 633 entries, the last 30 of them new\n"
    done = gristmill("tokenizer", "report", base, tmp_path / "run", "--extend", "7", "--json")
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    assert (measured["vocab_size"], measured["num_new"]) == (603, 7)
    assert [(cost["source"], cost["language"]) for cost in measured["costs"]] == [("ru", None)]
    done = gristmill("tokenizer", "report", extended, tmp_path / "run")
    assert "bytes a token" in done.stdout
    assert "of 633 entries (" in done.stdout


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Shards of one source, and beside them a tokenizer."""
    texts = make_texts("en", 2000)
    for number in range(8):
        write_shard(tmp_path / "run" / "en" / f"en-{number:05d}-000.arrow", texts * 2)
    train_tokenizer([tmp_path / "run"], tmp_path / "tokenizer.json", vocab_size=300, sample_bytes=10_000)
    return tmp_path / "run"


def tokens_of(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def tokens_here(shards: Path) -> dict[str, bytes]:
    out, tokenizer = shards.parent / "here", shards.parent / "tokenizer.json"
    tokenize_shards([shards], tokenizer, out, held_out_fraction=0.01, report=lambda _: None)
    return tokens_of(out)


@pytest.mark.slow
def test_tokenize_is_interrupted_and_resumed(shards: Path) -> None:
    folder = shards.parent
    words = [sys.executable, "-m", "pipelines", "tokenize", str(shards), "--tokenizer", str(folder / "tokenizer.json")]
    process = subprocess.Popen(
        [*words, "--out", str(folder / "a"), "--workers", "1"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("en/en-00000-000: 4,000 documents")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "interrupted; finished shards are safe. To resume: gristmill tokenize" in errors
    made = {path: path.stat().st_mtime_ns for path in (folder / "a" / "en" / "manifests").glob("*.json")}
    assert 1 <= len(made) < 8
    subprocess.run([*words, "--out", str(folder / "a")], check=True, capture_output=True)
    assert {path: path.stat().st_mtime_ns for path in made} == made, "finished shards are not made again"
    assert tokens_of(folder / "a") == tokens_here(shards)


@pytest.mark.slow
def test_tokens_made_on_a_cluster_are_those_of_one_process(shards: Path) -> None:
    folder = shards.parent
    words = ("tokenize", shards, "--tokenizer", folder / "tokenizer.json", "--out")
    with ray_cluster() as cluster:
        cluster.add()
        cluster.add()
        done = gristmill(*words, folder / "ray", "--executor", "ray", "--address", cluster.address)
    assert done.returncode == 0, done.stderr
    assert tokens_of(folder / "ray") == tokens_here(shards)


def test_a_mistake_in_the_file_of_a_training_is_told_before_torch_is_imported(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    code = (
        "import sys, pipelines.cli as cli\n"
        "sys.argv = ['gristmill', 'pretrain', 'missing.toml']\n"
        "try: cli.main()\n"
        "finally: print('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "False\n")
    assert done.stderr == "gristmill: missing.toml: no such file; check the path\n"
