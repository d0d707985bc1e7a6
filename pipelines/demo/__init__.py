"""`gristmill demo`: the whole chain on a crawl that is made on the spot, in a few minutes and without a network.

    crawl ──gristmill──▶ shards ──▶ report ──▶ tokenizer ──▶ tokens ──▶ model ──▶ bits per byte before and after

It calls what the other commands call, and keeps everything in one folder. Started again it goes on where it was
stopped; where all is done it only tells the results once more.
"""

import os
import shutil
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import tomli_w

from pipelines.demo.crawl import KEPT, Article, article, planted, write_crawl
from pipelines.executors import InProcess, ProcessPool
from pipelines.passes import execute
from pipelines.progress import ProgressDisplay, Report
from pipelines.recipe import Recipe, load_recipe, recipe_text
from pipelines.report.build import summary, write_report
from pipelines.run.opening import Run, is_done, open_run
from shards.atomic import write_bytes
from shards.errors import RunError, UserError
from shards.sink import read_batches

Out = Callable[[str], None]

WEIGHTS = {"web": 0.5, "libraries": 0.5}
# All of train.toml but the sources: 2.4 million parameters and 370,000 tokens, a minute on two free cores.
TRAINING: dict[str, Any] = {
    "out": "model",
    "steps": 360,
    "sequence_length": 256,
    "batch_size": 4,  # small: from few tokens a model learns most in many small steps
    "device": "cpu",
    "model": {
        "width": 192,
        "num_layers": 4,
        "num_heads": 6,
        "num_kv_heads": 2,
        "feed_forward_width": 512,
        "qk_norm": True,
        "tied_embeddings": True,
    },
    "optimizer": {"lr": 2e-3, "warmup_steps": 30},
}
_CHINESE_AND_RUSSIAN = ("mill.zh", "roof.zh", "clock.zh", "mill.ru", "fallow.ru", "station.ru")
_VOCAB_SIZE = 4096
_HELD_OUT = 0.1
_TRAINING_LINES = 9  # of progress


def demo(folder: Path, out: Out) -> None:
    """Run the chain in `folder`; raises `RunError` if a page ends elsewhere than it must, or nothing is learned."""
    if find_spec("torch") is None:
        raise UserError("the demo trains a model, which needs the extra `train`: pip install 'gristmill[train]'")
    began = time.monotonic()
    with _step(out, "1/5  write a small crawl from documentation on this machine, and pages of our own"):
        crawl = write_crawl(folder / "crawl")
        pages, size = (sum(file[key] for file in crawl["files"].values()) for key in ("pages", "bytes"))
        out(f"     {pages:,} pages in {len(crawl['files'])} WARC files, {size / 1e6:.1f} MB compressed")
    with _step(out, "2/5  clean and deduplicate it by the recipe gristmill"):
        with ProgressDisplay() as show:
            run = _clean(_recipe(folder), folder / "run", ProcessPool(os.cpu_count() or 1), show)
        _show_funnel(run.folder, out)
        _check_planted(run.folder, out)
        _check_whole(run.folder, out)
    with _step(out, "3/5  report"):
        report = write_report(run.folder)
        out(f"     {report}")
    training = _training_folder(folder / "training", run)
    with _step(out, "4/5  train a tokenizer, and make tokens"):
        _tokenize(run.folder, training, out)
    with _step(out, "5/5  train a model on both sources"):
        before, after = _train(training, out)
    _show_bits_per_byte(before, after, out)
    _show_places(folder, run.folder, report, training, out)
    out(f"\nAll in {time.monotonic() - began:.0f} s.")


@contextmanager
def _step(out: Out, title: str) -> Iterator[None]:
    out(title)
    began = time.monotonic()
    yield
    out(f"     {time.monotonic() - began:.1f} s")


def _recipe(folder: Path) -> Recipe:
    """`gristmill` over the crawl's two sources, as a file that `gristmill run` takes too."""
    values = tomllib.loads(recipe_text("gristmill")[0])
    values["source"] = {name: {"kind": "warc", "paths": [str(folder / "crawl" / name)]} for name in WEIGHTS}
    path = folder / "recipe.toml"
    write_bytes(path, tomli_w.dumps(values).encode())
    return load_recipe(str(path))


def _clean(recipe: Recipe, folder: Path, executor: InProcess | ProcessPool, progress: Report) -> Run:
    """The finished run: resumed if it is the same, redone if what it was made of has changed since."""
    try:
        run = open_run(recipe, folder)
    except UserError:
        run = open_run(recipe, folder, overwrite=True)
    if not is_done(folder):
        execute(run, executor, progress)
    return run


def _show_funnel(run: Path, out: Out) -> None:
    found = summary(run)
    given, kept = found["documents"]["input"], found["documents"]["kept"]
    out(f"     {given:,} pages in, {kept:,} kept, {given - kept:,} dropped; the most frequent reasons:")
    for reason, count in Counter(found["dropped"]).most_common(5):
        out(f"       {count:5,}  {reason}")


def _check_planted(run: Path, out: Out) -> None:
    """Every page that was planted must have ended where its kind belongs."""
    expected = Counter((p.page.url, p.page.date, p.ends) for p in planted())
    addresses = {(url, date) for url, date, _ in expected}
    found = Counter(fate for fate in fates(run) if fate[:2] in addresses)
    for url, date, ends in expected - found:
        others = sorted(fate[2] for fate in found - expected if fate[:2] == (url, date))
        raise RunError(f"{url} of {date}: expected to end as {ends}, found {', '.join(others) or 'no such page'}")
    out(f"     all {len(planted())} pages that we made up ended where they belong; those that had to go, for example:")
    for p in planted():
        if p.ends.startswith(("dedup.", "gopher_", "url.", "extract.")):
            out(f"       {p.what:<42}{p.ends}")


def fates(run: Path) -> Iterator[tuple[str, str, str]]:
    """(URL, date, first drop reason or `KEPT`) of every record in the run's ledger."""
    for path in sorted((run / "ledger").glob("*.arrow")):
        for batch in read_batches(path, ["url", "date", "drop_reasons"]):
            for row in batch.to_pylist():
                yield row["url"], row["date"], (row["drop_reasons"] or [KEPT])[0]


def _check_whole(run: Path, out: Out) -> None:
    texts = kept_texts(run)
    for name in _CHINESE_AND_RUSSIAN:
        wanted = article(name)
        if not any(holds(text, wanted) for text in texts):
            raise RunError(f"{run}: the article {wanted.title!r} did not come whole through the recipe")
        out(f"     whole, {len(wanted.text):,} characters: {wanted.title}")


def kept_texts(run: Path) -> list[str]:
    shards = sorted((run / "shards").rglob("*.arrow"))
    return [text for shard in shards for batch in read_batches(shard, ["text"]) for text in batch["text"].to_pylist()]


def holds(text: str, wanted: Article) -> bool:
    """Whether all paragraphs of the article stand in `text`, in order."""
    at = 0
    for paragraph in wanted.paragraphs:
        at = text.find(paragraph, at)
        if at < 0:
            return False
        at += len(paragraph)
    return True


def _training_folder(folder: Path, run: Run) -> Path:
    """`folder` with the training file; emptied first if it is of another run or of other settings."""
    sources = {name: {"tokens": f"tokens/{name}", "weight": weight} for name, weight in WEIGHTS.items()}
    made_of = f"# Run {run.digest[:16]}, {_VOCAB_SIZE} tokens in the vocabulary, {_HELD_OUT:.0%} held out."
    wanted = f"{made_of}\n{tomli_w.dumps(TRAINING | {'source': sources})}".encode()
    path = folder / "train.toml"
    if not path.exists() or path.read_bytes() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        write_bytes(path, wanted)
    return folder


def _tokenize(run: Path, training: Path, out: Out) -> None:
    from pretrain.tokenizing.tokenize import tokenize_shards
    from pretrain.tokenizing.tokenizer import train_tokenizer

    tokenizer = training / "tokenizer.json"
    if not tokenizer.exists():
        train_tokenizer([run], tokenizer, vocab_size=_VOCAB_SIZE, sample_bytes=16 << 20)
    manifests = tokenize_shards(
        [run], tokenizer, training / "tokens", held_out_fraction=_HELD_OUT, report=lambda line: None
    )
    for source, manifest in manifests.items():
        files = [shard.files for shard in manifest.shards.values()]
        documents, tokens = (
            {split: sum(getattr(f[split], count) for f in files) for split in ("train", "held-out")}
            for count in ("num_rows", "num_tokens")
        )
        out(
            f"     {source}: {tokens['train']:,} tokens of {documents['train']:,} documents to train on, "
            f"{documents['held-out']:,} documents held out"
        )


def _train(training: Path, out: Out) -> tuple[dict[str, float], dict[str, float]]:
    from pretrain.train import train

    every, steps = max(1, TRAINING["steps"] // _TRAINING_LINES), TRAINING["steps"]
    start: tuple[int, float] | None = (
        None  # the step and the time of the first record: a resumed run has some behind it
    )

    def show(record: dict[str, Any]) -> None:
        nonlocal start
        step, now = record["step"], time.monotonic()
        if start is None:
            start = step, now
        elif "loss" in record and step % every == 0:
            left = (now - start[1]) / (step - start[0]) * (steps - step)
            losses = ", ".join(f"{name} {loss:.2f}" for name, loss in record["loss_by_source"].items())
            out(
                f"     step {step} of {steps}: loss {losses}; {record['tokens_per_s']:,.0f} tokens/s, {left:.0f} s left"
            )

    trained = train(training / "train.toml", overrides={}, progress=show)
    shares = " and ".join(f"{weight:.0%} {name}" for name, weight in WEIGHTS.items())
    out(f"     {trained.num_parameters / 1e6:.1f} million parameters saw {trained.tokens:,} tokens, {shares}")
    return trained.held_out_before, trained.held_out_after


def _show_bits_per_byte(before: dict[str, float], after: dict[str, float], out: Out) -> None:
    out("\nBits per byte on documents that were held out:")
    out(f"     {'source':<12}{'before':>8}{'after':>8}")
    for source in before:
        out(f"     {source:<12}{before[source]:>8.3f}{after[source]:>8.3f}")
    if worse := [source for source in WEIGHTS if not after.get(source, 99) < before.get(source, 0)]:
        raise RunError(
            f"bits per byte did not fall for {', '.join(worse)}: the model learned nothing; please report it"
        )


def _show_places(folder: Path, run: Path, report: Path, training: Path, out: Out) -> None:
    out("\nWhere everything lies:")
    for what, path in (
        ("crawl", folder / "crawl"),
        ("recipe", folder / "recipe.toml"),
        ("run", run),
        ("clean shards", run / "shards"),
        ("ledger", run / "ledger"),
        ("report", report),
        ("tokenizer", training / "tokenizer.json"),
        ("tokens", training / "tokens"),
        ("training file", training / "train.toml"),
        ("checkpoint", training / "model" / "checkpoints"),
        ("losses", training / "model" / "metrics.jsonl"),
    ):
        out(f"     {what:<18}{path}")
    out("\nWhat to try next:")
    gristmill = (
        "gristmill" if shutil.which("gristmill") else os.path.relpath(Path(sys.executable).with_name("gristmill"))
    )
    for arguments in (
        f"verify {run}",
        f"run {folder / 'recipe.toml'} --out {folder / 'long-only'} --set gopher_quality.min_words=300",
        f"trace {training / 'train.toml'} --step {TRAINING['steps']}",
        "run gristmill --set source.paths=FOLDER-OF-WARC-FILES --out runs/mine",
    ):
        out(f"     {gristmill} {arguments}")
