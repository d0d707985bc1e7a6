"""`gristmill demo`: the whole chain on a crawl that is made on the spot, in a few minutes and without a network.

    crawl ──gristmill──▶ shards ──▶ report ──▶ tokenizer ──▶ tokens ──▶ model ──▶ bits per byte before and after

The demo calls what the other commands call, and keeps everything in one folder. Started again, it resumes where it was
stopped; when all is done, it only prints the results once more.
"""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from pipelines.demo.cleaning import check_planted, check_whole, clean, show_funnel
from pipelines.demo.crawl import write_crawl
from pipelines.demo.training import TRAINING, prepare_folder, show_bits_per_byte, tokenize, train_model
from pipelines.numbers import counted
from pipelines.report.build import write_report
from pipelines.run.folder import RunFolder
from shards.errors import UserError

Out = Callable[[str], None]  # prints a line, or several


def run_demo(folder: Path, out: Out) -> None:
    """Run the chain in `folder`. Raises `RunError` if a page ends elsewhere than it must, or nothing is learned."""
    if find_spec("torch") is None:
        raise UserError("the demo trains a model, which needs the extra `train`: pip install 'gristmill[train]'")
    began = time.monotonic()
    with _step(out, "1/5  write a small crawl from documentation on this machine, and pages of our own"):
        files = write_crawl(folder / "crawl")["files"]
        num_pages, num_bytes = (sum(file[key] for file in files.values()) for key in ("pages", "bytes"))
        out(f"     {counted(num_pages, 'page')} in {len(files)} WARC files, {num_bytes / 1e6:.1f} MB compressed")
    with _step(out, "2/5  clean and deduplicate it by the recipe gristmill"):
        run = clean(folder)
        show_funnel(run.folder.root, out)
        check_planted(run.folder.root, out)
        check_whole(run.folder.root, out)
    with _step(out, "3/5  report"):
        report = write_report(run.folder.root)
        out(f"     {report}")
    training = prepare_folder(folder / "training", run)
    with _step(out, "4/5  train a tokenizer, and make tokens"):
        tokenize(run.folder.root, training, out)
    with _step(out, "5/5  train a model on both sources"):
        before, after = train_model(training, out)
    show_bits_per_byte(before, after, out)
    _show_places(folder, run.folder.root, report, training, out)
    _show_next_commands(folder, run.folder.root, training, out)
    out(f"\nAll in {time.monotonic() - began:.0f} s.")


@contextmanager
def _step(out: Out, title: str) -> Iterator[None]:
    out(title)
    began = time.monotonic()
    yield
    out(f"     {time.monotonic() - began:.1f} s")


def _show_places(folder: Path, run: Path, report: Path, training: Path, out: Out) -> None:
    out("\nWhere everything lies:")
    for what, path in (
        ("crawl", folder / "crawl"),
        ("recipe", folder / "recipe.toml"),
        ("run", run),
        ("clean shards", RunFolder(run).path(RunFolder.SHARDS)),
        ("ledger", RunFolder(run).path(RunFolder.LEDGER)),
        ("report", report),
        ("tokenizer", training / "tokenizer.json"),
        ("tokens", training / "tokens"),
        ("training file", training / "train.toml"),
        ("checkpoint", training / "model" / "checkpoints"),
        ("losses", training / "model" / "metrics.jsonl"),
    ):
        out(f"     {what:<18}{path}")


def _show_next_commands(folder: Path, run: Path, training: Path, out: Out) -> None:
    out("\nWhat to try next:")
    gristmill = (
        "gristmill" if shutil.which("gristmill") else os.path.relpath(Path(sys.executable).with_name("gristmill"))
    )
    for arguments in (
        f"verify {run}",
        f"run {folder / 'recipe.toml'} --out {folder / 'long-only'} --set gopher_quality.min_words=300",
        f"trace {training / 'model'} --step {TRAINING['steps']}",
        "run gristmill FOLDER-OF-WARC-FILES --out runs/mine",
    ):
        out(f"     {gristmill} {arguments}")
