"""The command line. Each command parses, calls one function, and prints; imports wait until a command needs them.

Exit codes: 0 done, 1 the run failed or something is wrong with it, 2 the user's mistake, 130 Ctrl-C or SIGTERM.
"""

import io
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shards.errors import GristmillError, Interrupted, UserError

if TYPE_CHECKING:
    from pipelines.run.opening import Run
    from pipelines.verbs.remove import Requests

app = typer.Typer(
    help="Crawl dumps in, clean deduplicated text out, and language models trained on it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
tokenizer_app = typer.Typer(help="Train tokenizers.", no_args_is_help=True)
app.add_typer(tokenizer_app, name="tokenizer")
classifier_app = typer.Typer(help="Train model filters, and see what they would keep.", no_args_is_help=True)
app.add_typer(classifier_app, name="classifier")
extractor_app = typer.Typer(help="Score extraction engines on labelled pages, and train our own.", no_args_is_help=True)
app.add_typer(extractor_app, name="extractor")
index_app = typer.Typer(
    help="Compare dumps with what earlier dumps kept, and take documents out.", no_args_is_help=True
)
app.add_typer(index_app, name="index")
out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)  # paths and pages hold [ and :
_CORES = os.cpu_count() or 1

RecipeArgument = Annotated[str, typer.Argument(help="A built-in recipe (see `gristmill recipes`) or a TOML file.")]
RunArgument = Annotated[Path, typer.Argument(help="The folder of a run.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a setting: STAGE.KEY=VALUE, source.paths=DIR, output.KEY=VALUE."),
]
ExecutorOption = Annotated[Literal["in-process", "pool"], typer.Option(help="Where units of work run.")]
WorkersOption = Annotated[int, typer.Option(help="Processes of the pool.", min=1)]
MemoryOption = Annotated[
    str | None, typer.Option(help="What deduplication may take, as 2GB or 500MB; half of the machine's if not given.")
]


@app.command()
def run(
    recipe: RecipeArgument,
    folder: Annotated[Path | None, typer.Option("--out", help="The run's folder; runs/<recipe> if not given.")] = None,
    executor: ExecutorOption = "pool",
    workers: WorkersOption = _CORES,
    memory: MemoryOption = None,
    settings: SetOption = None,
    overwrite: Annotated[bool, typer.Option(help="Redo a run that is there, also one of another recipe.")] = False,
) -> None:
    """Clean and deduplicate crawl files into Arrow shards. The same command resumes what was interrupted."""
    from pipelines.recipe import load_recipe
    from pipelines.run.opening import open_run

    resolved = load_recipe(recipe, settings or [])
    folder = folder.expanduser() if folder else Path("runs") / resolved.name
    _execute(open_run(resolved, folder, overwrite=overwrite), executor, workers, memory)
    _print_funnel(folder)


def _execute(opened: "Run", executor: str, workers: int, memory: str | None) -> None:
    from pipelines.executors import make_executor, parse_memory
    from pipelines.passes import execute
    from pipelines.progress import Show

    num_bytes = parse_memory(memory) if memory is not None else None
    if opened.folder.is_done():
        _tell(f"{opened.folder} is done already; nothing was changed (--overwrite redoes it)")
        return
    try:
        with Show() as show:
            execute(opened, make_executor(executor, workers, num_bytes), show)
    except Interrupted:
        raise Interrupted(f"interrupted; finished units are safe. To resume: {_this_command()}") from None


@app.command()
def plan(
    recipe: RecipeArgument,
    workers: WorkersOption = _CORES,
    memory: MemoryOption = None,
    settings: SetOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Tell which pairs a recipe's MinHash compares and, of source.paths, what a run takes: time, memory, disk."""
    from dataclasses import asdict

    from pipelines.executors import parse_memory
    from pipelines.preview.plan import curves, estimate
    from pipelines.progress import Show
    from pipelines.recipe import load_recipe

    resolved = load_recipe(recipe, settings or [])
    num_bytes = parse_memory(memory) if memory is not None else None
    shapes = curves(resolved)
    for shape in () if as_json else shapes:
        _tell(f"{shape.stage}: {shape.bands} bands of {shape.rows} rows, half of the pairs at {shape.half_at:.3f}")
        table = Table(*("similarity", *(f"{x:.2f}" for x in shape.p_match)), box=None, pad_edge=False)
        table.add_row("P(match)", *(f"{p:.3f}" for p in shape.p_match.values()))
        out.print(table)
    with Show() as show:
        found = estimate(resolved, workers, num_bytes, show)
    if as_json:
        told = {"minhash": [asdict(shape) for shape in shapes], "estimate": asdict(found) if found else None}
        sys.stdout.write(json.dumps(told, ensure_ascii=False, indent=1) + "\n")
        return
    if found is None:
        _tell(f"for time, memory and disk give inputs: gristmill plan {recipe} --set source.paths=DIR")
        return
    table = Table("part", "time", "assumption", box=None, pad_edge=False)
    for part in found.parts:
        table.add_row(part.name, _duration(part.seconds), part.assumption)
    out.print(table)
    _tell(f"time: about {_duration(found.seconds)}")
    _tell(f"memory: about {found.memory.num_bytes / 1e9:.2f} GB at the peak: {found.memory.assumption}")
    disk = f"{found.disk.num_bytes / 1e6:,.0f} MB at the peak, {found.kept_disk_bytes / 1e6:,.0f} MB when done"
    _tell(f"disk: about {disk}: {found.disk.assumption}")


def _duration(seconds: float) -> str:
    unit, name = next((u, n) for u, n in ((86_400, "days"), (3600, "h"), (60, "min"), (0, "s")) if seconds >= 2 * u)
    return f"{seconds / (unit or 1):.1f} {name}"


@app.command()
def status(folder: RunArgument) -> None:
    """Tell how far a run is."""
    from pipelines.verbs.status import describe

    for line in describe(folder):
        _tell(line)


@app.command()
def verify(folder: RunArgument) -> None:
    """Check every manifest, checksum and count of a run; exit 1 and say what is wrong if anything is."""
    from pipelines.verbs.verify import verify_run

    checked, problems = verify_run(folder)
    for problem in problems:
        _tell(problem)
    if problems:
        raise typer.Exit(1)
    _tell(f"{folder}: {checked} units whole: files, checksums, rows and counts agree")


@app.command()
def report(folder: RunArgument) -> None:
    """Write report.html and report.json of a finished run."""
    from pipelines.report.build import write_report

    _tell(f"wrote {write_report(folder)}")


@app.command()
def whatif(folder: RunArgument, settings: SetOption = None) -> None:
    """Decide a finished run again with other thresholds, from its ledger: what would be kept and dropped."""
    from pipelines.replay.forecast import lines
    from pipelines.replay.whatif import whatif as forecast

    for line in lines(forecast(folder, settings or [])):
        _tell(line)


@app.command()
def apply(
    folder: RunArgument,
    to: Annotated[Path, typer.Option("--out", help="The new run's folder.")],
    settings: SetOption = None,
    executor: ExecutorOption = "pool",
    workers: WorkersOption = _CORES,
    memory: MemoryOption = None,
    overwrite: Annotated[bool, typer.Option(help="Redo a run that is there, also one of another recipe.")] = False,
) -> None:
    """Make the run that other settings give, from a run's ledger and texts: nothing is extracted again."""
    from pipelines.replay.apply import open_apply

    to = to.expanduser()
    _execute(open_apply(folder, settings or [], to, overwrite=overwrite), executor, workers, memory)
    _print_funnel(to)


@app.command()
def explain(
    folder: RunArgument, document: Annotated[str, typer.Argument(help="A URL, or an id of the ledger.")]
) -> None:
    """Tell a document's whole life: record, encoding, every rule's value, edits, twin, verdict."""
    from pipelines.verbs.explain import explain as tell

    for line in tell(folder, document):
        _tell(line)


@app.command()
def pairs(
    folder: RunArgument,
    to: Annotated[Path | None, typer.Option("--out", help="A .jsonl, .csv, .parquet or .arrow file.")] = None,
    stage: Annotated[str | None, typer.Option(help="Only the pairs of this stage.")] = None,
    min_similarity: Annotated[float, typer.Option(help="Only pairs at least so similar.", min=0, max=1)] = 0.0,
) -> None:
    """Write all verified pairs of duplicates of a finished run: ids, URLs, similarity, and what became of both."""
    from pipelines.verbs.pairs import print_pairs, write_pairs

    if to is None:
        print_pairs(folder, sys.stdout, stage=stage, min_similarity=min_similarity)
    else:
        _tell(f"wrote {to}: {write_pairs(folder, to, stage=stage, min_similarity=min_similarity):,} pairs")


@app.command()
def contamination(
    folder: RunArgument,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, a section for each stage.")] = False,
) -> None:
    """List what a finished run found of evaluation sets, and say so where it found nothing."""
    from pipelines.report.contamination import lines, require_contamination
    from pipelines.report.model import to_json

    parts = require_contamination(folder)
    if as_json:
        sys.stdout.write(to_json(parts))
        return
    for line in lines(parts):
        _tell(line)


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(help="The folder of a run.")],
    after: Annotated[Path, typer.Argument(help="The folder of another run.")],
    examples: Annotated[int, typer.Option(help="Documents shown for each change.", min=0)] = 3,
) -> None:
    """List which documents changed their fate between two runs, and why."""
    from pipelines.verbs.diff import compare, lines

    for line in lines(compare(before, after, examples=examples)):
        _tell(line)


@app.command()
def recipes(name: Annotated[str | None, typer.Argument(help="Print this one as TOML.")] = None) -> None:
    """List the built-in recipes, or print one."""
    from pipelines.recipe import builtin_names, load_recipe, recipe_text

    if name is not None:
        sys.stdout.write(recipe_text(name)[0])
        return
    for builtin in builtin_names():
        out.print(Text.assemble((builtin, "bold"), f"  {load_recipe(builtin).about}"))


@app.command()
def demo(folder: Annotated[Path, typer.Option("--out", help="Gets everything.")] = Path("demo")) -> None:
    """Run the whole chain on a crawl that is made on the spot; a few minutes."""
    from pipelines.demo import demo as run_demo

    try:
        run_demo(folder, _tell_lines)
    except Interrupted:
        raise Interrupted(f"interrupted; what is done stays. To resume: {_this_command()}") from None


@app.command()
def models() -> None:
    """Make ready what an installation does not bring: fetch the language model lid.176 (0.9 MB), and compile the
    extractor for this processor (a minute, once)."""
    from cleaners.extraction.engine import Options, extract
    from cleaners.language import fetch_language_model, language_model_target

    target = language_model_target()
    if target.exists():
        _tell(f"{target} is there")
    else:
        fetch_language_model(target)
        _tell(f"wrote {target}")
    began = time.monotonic()
    extract([b"<p>The mill stands by the river."], Options())
    _tell(f"the extractor is ready ({time.monotonic() - began:.1f} s)")


@app.command()
def lists() -> None:
    """Fetch UT1, the list of 4.6 million domains that a recipe names by `blocked_domains = "ut1"` (20 MB)."""
    from cleaners.assets.listfile import fetch_ut1, ut1_target

    target = ut1_target()
    if target.exists():
        _tell(f"{target} is there")
        return
    fetch_ut1(target)
    _tell(f"wrote {target}")


@app.command()
def sample(
    paths: Annotated[list[str], typer.Argument(help="Files, folders or URLs of a crawl, and last the RECIPE.")],
    number: Annotated[int, typer.Option("-n", help="About how many documents.", min=1)] = 200,
    seed: Annotated[int, typer.Option(help="Another seed takes another random part.")] = 0,
    settings: SetOption = None,
    show: Annotated[int, typer.Option(help="Texts printed for each drop reason, and of kept documents.", min=0)] = 2,
) -> None:
    """Run a random part of INPUT... through RECIPE: funnel and samples in a minute, before a dump is started."""
    from pipelines.preview.sample import sample_run

    *inputs, recipe = paths
    if not inputs:
        raise UserError("sample: give at least one input and the recipe: gristmill sample INPUT RECIPE")
    with sample_run(inputs, recipe, settings or [], number, seed) as folder:
        _print_funnel(folder, next_step=False)
        _print_texts(folder, show)


@extractor_app.command("train")
def extractor_train(
    labelled: Annotated[
        list[Path], typer.Argument(help="Truth: JSON lines of url, main_content, with, without, html.")
    ],
    warc: Annotated[list[str] | None, typer.Option(help="The pages; may be repeated.")] = None,
    to: Annotated[Path, typer.Option("--out", help="Gets the model, its card and a report.")] = Path("models"),
    sets: Annotated[list[str] | None, typer.Option("--set", help="Only pages of this `set`; may be repeated.")] = None,
) -> None:
    """Train the extractor: the same pages give the same model. About ten minutes for 3,000 pages on two cores."""
    from pipelines.tuning.extractor import train

    model, card = train(labelled, warc or [], to, sets or [], _say)
    for kind, of in card["by_type"].items():
        _tell(f"{kind}: F1 {of['f1']:.3f} of {of['pages']:,} pages")
    if card["f1_across_folds"] is None:
        _tell("no F1: none of the pages has its main text, they have snippets alone")
    else:
        _tell(f"F1 {card['f1_across_folds']:.4f}, each page by a model that saw none of its host")
    _tell(f"wrote {model}, its card and {model.with_suffix('.html').name}")


@extractor_app.command("score")
def extractor_score(
    engine: Annotated[str, typer.Argument(help="trafilatura, resiliparse, gristmill, or module:function.")],
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,  # `--warc crawl/*.gz`, as a shell expands it
    warc: Annotated[list[str] | None, typer.Option(help="The pages: files or folders; may be repeated.")] = None,
    truth: Annotated[Path, typer.Option(help="JSON lines of url, main_content, page_type, set.")] = Path("truth.jsonl"),
    against: Annotated[list[str] | None, typer.Option(help="Another engine on the same pages.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """How well an engine finds the main text: F1 over words, by type and set, and milliseconds a page."""
    from pipelines.tuning.extractor import score

    names = list(dict.fromkeys([engine, *(against or [])]))
    found = score(names, [*(warc or []), *(more or [])], truth, _say)
    if as_json:
        typer.echo(json.dumps(found[engine] | {k: v for k, v in found.items() if k != engine}, ensure_ascii=False))
        return
    _print_scores(names, found)


def _print_scores(names: list[str], found: Mapping[str, Any]) -> None:
    table = Table("", *names)
    groups = [(key, name) for key in ("types", "sets") for name in found[names[0]][key]]

    def row(title: str, value: Callable[[Any], float | None], digits: int = 3) -> None:
        values = [value(found[name]) for name in names]
        table.add_row(title, *("–" if one is None else f"{one:.{digits}f}" for one in values))

    row("F1", lambda of: of["f1"])
    for key, kind in groups:
        pages = found[names[0]][key][kind]["pages"]
        if "f1" in found[names[0]][key][kind]:
            row(f"{kind} ({pages:,})", lambda of, key=key, kind=kind: of[key][kind].get("f1"))  # type: ignore[misc]
        if key == "sets" and "accuracy" in found[names[0]][key][kind]:
            row(f"{kind}, snippets", lambda of, key=key, kind=kind: of[key][kind]["accuracy"])  # type: ignore[misc]
    row("ms a page", lambda of: of["ms_per_page"], 2)
    row("first call, s", lambda of: of["first_call_s"], 2)
    out.print(table)
    for name in names[1:]:
        behind = found[name]["behind_first"]
        if behind["f1"] is not None and behind["f1_interval"]:
            low, high = behind["f1_interval"]
            _tell(f"{names[0]} − {name}: {behind['f1']:+.3f}, 95 % of hosts drawn anew [{low:+.3f}, {high:+.3f}]")
    for name in names:
        if trained := found[name].get("trained_on"):
            _tell(f"{name} was trained on {', '.join(trained)}: see its card for F1 on pages that it had not seen")
    if found["missing"]:
        _tell(f"{found['missing']:,} pages of the truth are not in the WARC files, nor brought as html")


@classifier_app.command("train")
def classifier_train(
    positive: Annotated[list[str], typer.Option(help="Texts to keep the like of: files or folders; may be repeated.")],
    negative: Annotated[list[str], typer.Option(help="Texts of the web as it is.")],
    to: Annotated[Path, typer.Option("--out", help="The model file.")] = Path("classifier.bin"),
    buckets: Annotated[int, typer.Option(help="Word bigrams told apart; 400 bytes each in the model.")] = 2_000_000,
) -> None:
    """Train a fastText classifier as DCLM does, on shards, Parquet, JSON lines or text files."""
    from pipelines.tuning.classifier import train

    made = train(positive, negative, to, buckets=buckets)
    _tell(f"wrote {to}: {made.num_positive:,} positive and {made.num_negative:,} negative texts")
    _tell(f"of {made.num_held_out:,} held-out texts: accuracy {made.accuracy:.4f}, AUC {made.auc:.4f}")
    for share, precision in made.precision.items():
        _tell(f"of the best {share:.0%}: {precision:.1%} are positive")


@classifier_app.command("apply")
def classifier_apply(
    model: Annotated[Path, typer.Argument(help="A fastText model.")],
    texts: Annotated[list[str], typer.Argument(help="Shards (RUN/shards), Parquet, JSON lines or text files.")],
    top: Annotated[float | None, typer.Option(help="Share of the texts to keep.")] = None,
    min_score: Annotated[float | None, typer.Option(help="Smallest score to keep.")] = None,
    label: Annotated[str, typer.Option(help="The model's label that is wanted.")] = "positive",
    to: Annotated[Path | None, typer.Option("--out", help="Gets scores.arrow and stage.toml, for a recipe.")] = None,
) -> None:
    """Print how a model scores texts, and the bound that keeps a share of them."""
    from pipelines.tuning.classifier import apply as score

    found = score(model, texts, label=label, top=top, min_score=min_score, to=to)
    for quantile, value in found.quantiles.items():
        _tell(f"p{100 * quantile:g}: {value:.6f}")
    scored = found.num_texts - found.num_blank
    _tell(f"min_score {found.min_score:.9g} keeps {found.num_kept:,} of {scored:,} ({_share(found.num_kept, scored)})")
    if found.num_blank:
        _tell(f"{found.num_blank:,} texts have no words and no score")
    if to is not None:
        _tell(f"wrote {to}/scores.arrow and {to}/stage.toml")


IndexArgument = Annotated[Path, typer.Argument(help="The folder of an index.")]
UrlsOption = Annotated[list[str] | None, typer.Option("--url", help="A URL, as `url_dedup` compares them.")]
DomainsOption = Annotated[
    list[str] | None, typer.Option("--domains", help="A file of domains, a line each, or one domain, or ut1.")
]
IdsOption = Annotated[list[str] | None, typer.Option("--id", help="An id of the ledger.")]


@index_app.command("add")
def index_add(
    index: IndexArgument,
    folder: RunArgument,
    recipe: Annotated[str | None, typer.Option(help="Sign by its dedup stages, not by those of the run.")] = None,
    executor: ExecutorOption = "pool",
    workers: WorkersOption = _CORES,
    memory: MemoryOption = None,
) -> None:
    """Add what a finished run kept: stages with `index = "INDEX"` compare later dumps with it."""
    from pipelines.executors import make_executor, parse_memory
    from pipelines.verbs.index import add

    num_bytes = parse_memory(memory) if memory is not None else None
    added = add(index, folder, make_executor(executor, workers, num_bytes), recipe)
    for warning in added.warnings:
        _tell(f"note: {warning}")
    if added.was_there:
        _tell(f"{index}: {folder} is there already, as {added.folder.name}; nothing was changed")
    else:
        _tell(f"{index}: added {added.num_documents:,} documents of {folder}")


@index_app.command("query")
def index_query(
    index: IndexArgument,
    inputs: Annotated[list[str] | None, typer.Argument(help="Shards, Parquet, JSON lines or text files.")] = None,
    urls: UrlsOption = None,
    min_similarity: Annotated[float, typer.Option(help="Of a near-duplicate that is told.", min=0, max=1)] = 0.75,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
    memory: MemoryOption = None,
) -> None:
    """Tell for each document the one of the index that it is most like."""
    from dataclasses import asdict

    from pipelines.executors import make_executor, parse_memory
    from pipelines.verbs.index import query

    if not (inputs or urls):
        raise UserError("index query: give files or --url")
    executor = make_executor("in-process", 1, parse_memory(memory) if memory is not None else None)
    for match in query(index, inputs or [], urls or [], executor, min_similarity):
        if as_json:
            _tell(json.dumps(asdict(match), ensure_ascii=False))
        elif match.kind is None:
            _tell(f"{match.asked}: nothing like it")
        else:
            alike = "" if match.similarity is None else f" {match.similarity:.3f}"
            _tell(f"{match.asked}: {match.kind}{alike}, {match.id} {match.url} of {match.run}")


@index_app.command("remove")
def index_remove(
    index: IndexArgument,
    urls: UrlsOption = None,
    domains: DomainsOption = None,
    ids: IdsOption = None,
    runs: Annotated[list[Path] | None, typer.Option("--run", help="A finished run to remove it from, too.")] = None,
) -> None:
    """Take documents out of an index, and on demand their text out of finished runs."""
    from pipelines.verbs.remove import Requests, remove_from_index

    requests = Requests(tuple(urls or ()), tuple(domains or ()), tuple(ids or ()))
    _tell(f"{index}: {remove_from_index(index, requests):,} documents removed")
    _remove_from_runs(runs or [], requests)


@app.command()
def remove(
    folders: Annotated[list[Path], typer.Argument(help="Folders of finished runs.")],
    urls: UrlsOption = None,
    domains: DomainsOption = None,
    ids: IdsOption = None,
) -> None:
    """Take the text of documents out of finished runs; the same command completes what was cut short."""
    from pipelines.verbs.remove import Requests

    _remove_from_runs(folders, Requests(tuple(urls or ()), tuple(domains or ()), tuple(ids or ())))


def _remove_from_runs(folders: list[Path], requests: "Requests") -> None:
    from pipelines.verbs.remove import remove_from_run

    for folder in folders:
        removed = remove_from_run(folder, requests)
        _tell(f"{folder}: {removed.num_documents:,} documents removed, {removed.num_kept:,} of them from its shards")
        for shard in removed.shards:
            _tell(f"changed: {shard}")
        if removed.shards:
            _tell("what was tokenized of these shards holds the documents still: `gristmill tokenize` makes it anew")


@app.command()
def calibrate(
    texts: Annotated[list[str], typer.Argument(help="Clean texts: shards, Parquet, JSON lines or text files.")],
    language: Annotated[str, typer.Option(help="Their language, as the language model names it.")],
    to: Annotated[Path | None, typer.Option("--out", help=r"Gets the [\[stage]] tables for a recipe.")] = None,
) -> None:
    """Derive a language's thresholds from clean text, as FineWeb2 does."""
    from pipelines.tuning.calibrate import calibrate as derive
    from pipelines.tuning.calibrate import fragment
    from pipelines.tuning.inputs import check_output
    from shards.atomic import write_bytes

    if to is not None:
        check_output(to)
    values = derive(texts, language)
    _tell(f"{'setting':60}  {'English':>7}  {language:>7}  how")
    for value in values:
        if isinstance(value.value, list):
            _tell(f"{value.stage}.{value.setting}: {' '.join(value.value)} ({value.reason})")
        else:
            _tell(f"{value.stage + '.' + value.setting:60}  {value.default!s:>7}  {value.value!s:>7}  {value.reason}")
    if to is not None:
        write_bytes(to, fragment(values, language).encode())
        _tell(f"wrote {to}")


@tokenizer_app.command("train")
def tokenizer_train(
    shards: Annotated[list[Path], typer.Argument(help="Shard files or folders (RUN/shards).")],
    to: Annotated[Path, typer.Option("--out", help="The tokenizer file.")] = Path("tokenizer.json"),
    vocab_size: Annotated[int, typer.Option(help="Entries, with 256 bytes and the special tokens.")] = 32_768,
    sample_mb: Annotated[int, typer.Option(help="MB of text to learn from.", min=1)] = 1_000,
) -> None:
    """Train a byte-level BPE tokenizer on clean shards."""
    from pretrain.tokenizing.tokenizer_training import train_tokenizer

    tokenizer = train_tokenizer(shards, to, vocab_size=vocab_size, sample_bytes=sample_mb * 1_000_000)
    _tell(f"wrote {to}: {tokenizer.vocab_size:,} entries")


@app.command()
def tokenize(
    shards: Annotated[list[Path], typer.Argument(help="Shard files or folders (RUN/shards).")],
    tokenizer: Annotated[Path, typer.Option(help="From `gristmill tokenizer train`.")],
    to: Annotated[Path, typer.Option("--out", help="Gets one folder for each source.")],
    held_out: Annotated[float, typer.Option(help="Fraction of the documents kept for evaluation.")] = 0.01,
    repeat_by: Annotated[
        str | None, typer.Option(help="Column that says how often an epoch has a document: rehydrate.weight.")
    ] = None,
) -> None:
    """Turn shards into token shards that training maps into memory."""
    from pretrain.tokenizing.tokenize import tokenize_shards

    made = tokenize_shards(shards, tokenizer, to, held_out_fraction=held_out, weight_column=repeat_by, report=_say)
    _tell(f"wrote {to}: the sources {', '.join(made)}")


@app.command()
def pretrain(config: Annotated[Path, typer.Argument(help="TRAIN.toml")], settings: SetOption = None) -> None:
    """Train a model on token shards. The same command resumes."""
    _needs_torch()
    from pretrain.train import train_model

    overrides = dict(_key_value(setting) for setting in settings or [])
    try:
        summary = train_model(config, overrides=overrides, progress=_training_line())
    except Interrupted as error:
        raise Interrupted(f"{error}. To resume: {_this_command()}") from None
    table = Table("source", "bits per byte before", "after", box=None, pad_edge=False)
    for source, before in summary.held_out_before.items():
        table.add_row(source, f"{before:.4f}", f"{summary.held_out_after[source]:.4f}")
    out.print(table)
    out.print(
        f"{summary.num_parameters:,} parameters, {summary.steps:,} steps, {summary.tokens:,} tokens, in {summary.out}"
    )


@app.command()
def trace(
    config: Annotated[Path, typer.Argument(help="TRAIN.toml")],
    step: Annotated[int, typer.Option(help="The training step, as metrics.jsonl counts them.", min=1)],
) -> None:
    """List the documents that a training step saw."""
    from pretrain.order.trace import trace_step

    for piece in trace_step(config, step):
        where = f"{piece.source} epoch {piece.epoch} {piece.id} tokens {piece.start}-{piece.end}"
        where += f" ({piece.num_masked} masked)" if piece.num_masked else ""
        _tell(f"row {piece.batch_row}: {where} {piece.url}")


def _needs_torch() -> None:
    if find_spec("torch") is None:
        raise UserError("training needs the extra `train`: pip install 'gristmill[train]'")


def _key_value(setting: str) -> tuple[str, str]:
    key, equals, value = setting.partition("=")
    if not equals:
        raise UserError(f"--set {setting}: expected KEY=VALUE")
    return key, value


# Control characters, direction overrides and halves of surrogate pairs: a page or a file name that holds them must not
# steer the terminal.
_UNSAFE = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def _visible(line: str) -> str:
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), line)


def _tell(line: str) -> None:
    out.print(_visible(line))


def _tell_lines(text: str) -> None:
    for line in text.split("\n"):
        _tell(line)


def _say(line: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False).print(_visible(line))


def _training_line() -> Callable[[Mapping[str, Any]], None]:
    """Prints a step at most every ten seconds, and every measurement of held-out documents."""
    last = 0.0

    def show(record: Mapping[str, Any]) -> None:
        nonlocal last
        if "loss" in record and time.monotonic() - last < 10:
            return
        last = time.monotonic()
        if "loss" in record:
            sources = ", ".join(f"{k} {v:.3f}" for k, v in record["loss_by_source"].items())
            speed = f"{record['tokens_per_s']:,.0f} tokens/s"
            _say(f"step {record['step']:,}: loss {record['loss']:.4f} ({sources}), {speed}")
        else:
            _say(json.dumps(record))

    return show


def _print_texts(folder: Path, number: int) -> None:
    from pipelines.preview.sample import texts_to_show

    for heading, url, text in texts_to_show(folder, number):
        out.print()
        out.print(Text.assemble((_visible(heading), "bold"), f"  {_visible(url or '')}"))
        _tell("  " + " ".join((text or "").split())[:300])


def _print_funnel(folder: Path, *, next_step: bool = True) -> None:
    from pipelines.report.audit import audits, sentence
    from pipelines.report.build import alarm_lines, summary
    from pipelines.run.folder import RunFolder

    found = summary(folder)
    documents = found.documents
    table = Table(box=None, pad_edge=False)
    for heading in ("reason", "dropped", "share of input"):
        table.add_column(heading, justify="left" if heading == "reason" else "right")
    for reason, count in sorted(found.dropped.items(), key=lambda item: -item[1]):
        table.add_row(_visible(reason), f"{count:,}", _share(count, documents.input))
    out.print(table)
    kept, given = documents.kept, documents.input
    _tell(f"{given:,} documents in, {kept:,} kept ({_share(kept, given)})" + f", in {folder}/shards" * next_step)
    for entry in audits(RunFolder(folder), RunFolder(folder).recipe(), found):
        _tell(sentence(entry))
    for line in alarm_lines(folder):
        _tell(line)
    for damage in found.damage[:5]:
        _tell(f"damaged: {damage.file}: offset {damage.offset}: {damage.cause}")
    if len(found.damage) > 5:
        _tell(f"damaged: {len(found.damage) - 5} more places, see {folder}/report.json")
    if next_step:
        _tell(f"next: gristmill report {folder}")


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "–"


def _this_command() -> str:
    import shlex

    return shlex.join(["gristmill", *sys.argv[1:]])


def main() -> None:
    """Entry point: our errors are one line and an exit code; anything else is a bug and keeps its traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as schedulers end a job: like Ctrl-C
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a page's letters
    try:
        code = app(standalone_mode=False) or 0
        if code == Interrupted.exit_code:  # how typer tells of a Ctrl-C that nobody caught
            raise KeyboardInterrupt
        sys.exit(code)
    except GristmillError as error:
        _say(f"gristmill: {error}")
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write(f"gristmill: interrupted; to resume: {_this_command()}\n")
        sys.exit(Interrupted.exit_code)
    except BrokenPipeError:
        sys.exit(1)
    except Exception as error:
        if not hasattr(error, "format_message"):  # how typer's errors, words it cannot parse, are told from bugs
            raise
        sys.stderr.write(f"gristmill: {error.format_message()} See gristmill --help\n")
        sys.exit(UserError.exit_code)
