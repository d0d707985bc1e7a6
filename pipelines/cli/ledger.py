"""Commands that read a run: status, verify, report, whatif, explain, pairs, contamination, diff."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import JsonOption, RunArgument, SweepOption
from pipelines.cli.printing import show, show_all, show_json
from shards import mirror
from shards.errors import UserError


def status(folder: RunArgument) -> None:
    """Show how far a run is."""
    from pipelines.verbs.status import describe

    show_all(describe(folder))


def verify(folder: RunArgument) -> None:
    """Check every manifest, checksum and count of a run; exit 1 and say what is wrong if anything is."""
    from pipelines.verbs.verify import lines, verify_run

    num_units, problems = verify_run(folder)
    show_all(lines(folder, num_units, problems))
    if problems:
        raise typer.Exit(1)


def report(
    folder: Annotated[
        Path | None, typer.Argument(help="The folder of a run, or its URL (s3://).", parser=mirror.local, metavar="RUN")
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(help="Another run to show beside it. Repeatable.", parser=mirror.local, metavar="RUN"),
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option(help="A folder of runs: what they keep and drop, one after the other.", metavar="RUNS"),
    ] = None,
    as_text: Annotated[bool, typer.Option("--text", help="Print the report and write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print report.json and write nothing.")] = False,
) -> None:
    """Write report.html and report.json of a finished run, or of a training at any time; or a page of several runs."""
    if (as_text or as_json) and (history is not None or against):
        raise UserError("--text, --json: show one run; leave --against and --history away")
    if history is not None:
        if folder is not None or against:
            raise UserError("--history: takes the folder of the runs alone; leave RUN and --against away")
        _history(history)
    elif folder is None:
        raise UserError("report: name a run, or a folder of runs by --history")
    elif against:
        _against(folder, against)
    else:
        _report(folder, as_text=as_text, as_json=as_json)


def _report(folder: Path, *, as_text: bool, as_json: bool) -> None:
    from pipelines.report.training import is_training

    if as_text or as_json:
        from pipelines.report import text
        from pipelines.report.build import made_report
        from pipelines.report.model import to_json

        made = made_report(folder)
        if as_json:
            sys.stdout.write(to_json(made))
        else:
            show_all(text.lines(folder, made))
        return

    if is_training(folder):
        from pipelines.report.training.render import write_training_report

        show(f"wrote {write_training_report(folder)}")
    else:
        from pipelines.report.build import write_report

        show(f"wrote {write_report(folder)}")


def _against(folder: Path, others: list[Path]) -> None:
    from pipelines.report.several.pages import lines, write_against

    page, runs = write_against(folder, others)
    show_all(lines(runs))
    show(f"wrote {page}")


def _history(folder: Path) -> None:
    from pipelines.report.several.pages import lines, write_history

    page, runs, skipped = write_history(folder)
    show_all(lines(runs))
    show_all(skipped)
    show(f"wrote {page}")


def whatif(
    folder: RunArgument,
    settings: SweepOption = None,
    examples: Annotated[int, typer.Option(help="Documents named of those gained, and of those lost.", min=0)] = 3,
    as_json: JsonOption = False,
) -> None:
    """Decide a finished run again with other settings, from its ledger: what would be kept and dropped."""
    from dataclasses import asdict

    from pipelines.ledger.table import Ledger
    from pipelines.replay.sweep import combinations, is_sweep
    from pipelines.replay.whatif import forecast
    from pipelines.replay.whatif_lines import lines, sweep_lines

    ledger = Ledger.open(folder)
    forecasts = [forecast(ledger, one, examples=examples) for one in combinations(settings or [])]
    if as_json:
        show_json({"forecasts": [asdict(one) for one in forecasts]})
    elif is_sweep(settings or []):
        show_all(sweep_lines(forecasts))
    else:
        show_all(lines(forecasts[0]))


def explain(
    folder: RunArgument,
    document: Annotated[str, typer.Argument(help="A URL, or an id of the ledger.")],
    everything: Annotated[bool, typer.Option("--all", help="Its record, and every rule and value.")] = False,
    text: Annotated[bool, typer.Option("--text", help="Its whole text, too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show why a document was kept or dropped: verdict, failing rules, edits, twin and copies; --all its whole life."""
    from dataclasses import asdict

    from pipelines.verbs import explain as verb

    found = verb.explain(folder, document, with_text=text)
    if as_json:
        show_json(asdict(found))
    else:
        show_all(verb.lines(found, folder, everything=everything))


def pairs(
    folder: RunArgument,
    to: Annotated[Path | None, typer.Option("--out", help="A .jsonl, .csv, .parquet or .arrow file.")] = None,
    stage: Annotated[str | None, typer.Option(help="Only the pairs of this stage.")] = None,
    min_similarity: Annotated[float, typer.Option(help="Only pairs of at least this similarity.", min=0, max=1)] = 0.0,
    texts: Annotated[
        bool, typer.Option("--texts", help="Show the least similar ones, and how their texts differ.")
    ] = False,
    number: Annotated[int, typer.Option("-n", help="Pairs that --texts shows.", min=1)] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="What --texts shows, as one JSON object.")] = False,
) -> None:
    """Write all verified pairs of duplicates of a finished run: ids, URLs, similarity, and what became of both."""
    from dataclasses import asdict

    from pipelines.numbers import counted
    from pipelines.verbs.pairs import print_pairs, write_pairs

    if texts and to is not None:
        raise UserError("--texts: shows pairs here; leave --out away")
    if texts:
        from pipelines.verbs.pair_texts import lines, pairs_with_texts

        shown = pairs_with_texts(folder, number, stage=stage, min_similarity=min_similarity)
        if as_json:
            show_json({"pairs": [asdict(pair) for pair in shown]})
        else:
            show_all(lines(shown))
    elif to is None:
        print_pairs(folder, sys.stdout, stage=stage, min_similarity=min_similarity)
    else:
        num_pairs = write_pairs(folder, to, stage=stage, min_similarity=min_similarity)
        show(f"wrote {to}: {counted(num_pairs, 'pair')}")


def contamination(
    folder: RunArgument,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, a section for each stage.")] = False,
) -> None:
    """List the items of evaluation sets that a finished run found, and the sets of which it found nothing."""
    from dataclasses import asdict

    from pipelines.report.contamination import lines, require_contamination

    sections = require_contamination(folder)
    if as_json:
        show_json([asdict(section) for section in sections])
    else:
        show_all(lines(sections))


def diff(
    before: RunArgument,
    after: Annotated[
        Path, typer.Argument(help="The folder or URL of another run.", parser=mirror.local, metavar="RUN")
    ],
    examples: Annotated[int, typer.Option(help="Documents shown for each change.", min=0)] = 3,
    settings: Annotated[bool, typer.Option("--settings", help="A line for each setting that differs.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List which documents changed their fate between two runs, and why."""
    from dataclasses import asdict

    from pipelines.verbs.diff import compare, lines

    found = compare(before, after, examples=examples)
    if as_json:
        show_json(asdict(found) | {"a": str(before), "b": str(after)})
    else:
        show_all(lines(found, all_settings=settings))
