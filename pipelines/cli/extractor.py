"""Commands of the extractor: train, score."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.printing import say, show_all


def train(
    labelled: Annotated[
        list[Path], typer.Argument(help="Truth: JSON lines of url, main_content, with, without, html.")
    ],
    warc: Annotated[list[str] | None, typer.Option(help="The pages; may be repeated.")] = None,
    to: Annotated[Path, typer.Option("--out", help="Gets the model, its card and a report.")] = Path("models"),
    sets: Annotated[list[str] | None, typer.Option("--set", help="Only pages of this `set`; may be repeated.")] = None,
    without: Annotated[list[str] | None, typer.Option(help="No pages of this `set`; may be repeated.")] = None,
    name: Annotated[str, typer.Option(help="What the name of the file begins with.")] = "gristmill",
) -> None:
    """Train the extractor: the same pages give the same model. About ten minutes for 3,000 pages on two cores."""
    from pipelines.tuning.extractor import train_extractor, training_lines

    model, card = train_extractor(labelled, warc or [], to, sets or [], without or [], name, say)
    show_all(training_lines(model, card))


def score(
    engine: Annotated[str, typer.Argument(help="trafilatura, resiliparse, gristmill, or module:function.")],
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,  # `--warc crawl/*.gz`, as a shell expands it
    warc: Annotated[list[str] | None, typer.Option(help="The pages: files or folders; may be repeated.")] = None,
    truth: Annotated[Path, typer.Option(help="JSON lines of url, main_content, page_type, set, language.")] = Path(
        "truth.jsonl"
    ),
    against: Annotated[list[str] | None, typer.Option(help="Another engine on the same pages.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score how well an engine finds the main text: F1 by type, set, language and length, and milliseconds a page."""
    from pipelines.tuning.extractor import score_engines, score_lines, scores_as_json

    names = list(dict.fromkeys([engine, *(against or [])]))
    scores = score_engines(names, [*(warc or []), *(more or [])], truth, say)
    if as_json:
        typer.echo(scores_as_json(names, scores))
    else:
        show_all(score_lines(names, scores))
