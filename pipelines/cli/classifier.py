"""Commands that learn from examples: classifier train, classifier apply, calibrate."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.printing import show, show_all


def train(
    positive: Annotated[list[str], typer.Option(help="Texts like those to keep: files or folders; may be repeated.")],
    negative: Annotated[list[str], typer.Option(help="Texts of the web as it is.")],
    to: Annotated[Path, typer.Option("--out", help="The model file.")] = Path("classifier.bin"),
    buckets: Annotated[
        int | None,
        typer.Option(help="Distinct word bigrams, 400 bytes each in the model; by the texts if not given."),
    ] = None,
) -> None:
    """Train a fastText classifier as DCLM does, on shards, Parquet, JSON lines or text files."""
    from pipelines.tuning.classifier import train_classifier, training_lines

    show_all(training_lines(to, train_classifier(positive, negative, to, buckets=buckets)))


def apply(
    model: Annotated[Path, typer.Argument(help="A fastText model.")],
    texts: Annotated[list[str], typer.Argument(help="Shards (RUN/shards), Parquet, JSON lines or text files.")],
    top: Annotated[float | None, typer.Option(help="Share of the texts to keep.")] = None,
    min_score: Annotated[float | None, typer.Option(help="Smallest score to keep.")] = None,
    label: Annotated[str, typer.Option(help="The model's label whose score counts.")] = "positive",
    to: Annotated[Path | None, typer.Option("--out", help="Gets scores.arrow and stage.toml, for a recipe.")] = None,
) -> None:
    """Print quantiles of a model's scores of texts, and the threshold that keeps a share of them."""
    from pipelines.tuning.classifier import apply_classifier, score_lines

    scored = apply_classifier(model, texts, label=label, top=top, min_score=min_score, to=to)
    show_all(score_lines(scored))
    if to is not None:
        show(f"wrote {to}/scores.arrow and {to}/stage.toml")


def calibrate(
    texts: Annotated[list[str], typer.Argument(help="Clean texts: shards, Parquet, JSON lines or text files.")],
    language: Annotated[str, typer.Option(help="Their language, as the language model names it.")],
    to: Annotated[Path | None, typer.Option("--out", help=r"Gets the [\[stage]] tables for a recipe.")] = None,
) -> None:
    """Derive a language's thresholds from clean text, as FineWeb2 does."""
    from pipelines.tuning.calibrate import derive_thresholds, lines, write_fragment
    from pipelines.tuning.inputs import check_output

    if to is not None:
        check_output(to)
    values = derive_thresholds(texts, language)
    show_all(lines(values, language))
    if to is not None:
        write_fragment(to, values, language)
        show(f"wrote {to}")
