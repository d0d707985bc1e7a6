"""Commands on trained models: exporting, writing text, and evaluating."""

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pipelines.cli.printing import say, show, show_all, show_json, visible
from pipelines.lines import Line, Table
from pipelines.numbers import counted
from shards.errors import UserError

if TYPE_CHECKING:
    from pretrain.evaluate_model import Evaluation

ModelArgument = Annotated[
    Path,
    typer.Argument(help="The folder of a training, one of its checkpoints, or a Hugging Face folder.", metavar="MODEL"),
]


def export_model(
    model: ModelArgument,
    to: Annotated[Path, typer.Option(help="A new folder.")],
    dtype: Annotated[Literal["bfloat16", "float32"], typer.Option(help="Of the weights.")] = "bfloat16",
    runs: Annotated[
        list[Path] | None, typer.Option("--run", help="A run that cleaned the text, for the model card; several.")
    ] = None,
) -> None:
    """Write a model as a Hugging Face folder: Llama, or Qwen3 with QK-norm."""
    _require_torch()
    from pretrain.export_model import export_model

    exported = export_model(model, to, dtype=dtype, cleaned_by=[_cleaned_by(run) for run in runs or ()])
    averaged = ", the averaged weights" if exported.is_averaged else ""
    show(f"wrote {to}: {exported.architecture}, {counted(exported.num_parameters, 'parameter')}{averaged}, {dtype}")


def generate(
    model: ModelArgument,
    prompts: Annotated[list[str], typer.Argument(help='Texts to continue; "" begins a document.', metavar="PROMPT...")],
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token.")] = 0.8,
    top_p: Annotated[float, typer.Option(help="Only the likeliest tokens of this probability together.")] = 1.0,
    max_tokens: Annotated[int, typer.Option(help="Most tokens of a text.", min=1)] = 128,
    seed: Annotated[int, typer.Option(help="Of the random numbers.", min=0)] = 0,
    chat: Annotated[
        bool, typer.Option("--chat", help="Prompts are questions to a model tuned on instructions.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write text with a model, as it comes."""
    _require_torch()
    from dataclasses import asdict

    from pretrain.generate import generate
    from pretrain.generation import Sampling

    def begins(prompt: str) -> None:
        if chat:
            show(f"> {prompt}")
        else:
            _stream(prompt)

    written = generate(
        model,
        prompts,
        sampling=Sampling(temperature, top_p),
        max_tokens=max_tokens,
        seed=seed,
        is_chat=chat,
        begins=(lambda prompt: None) if as_json else begins,
        writes=(lambda piece: None) if as_json else _stream,
        ends=(lambda: None) if as_json else (lambda: show("")),
    )
    if as_json:
        show_json([asdict(one) for one in written])


def evaluate(
    model: ModelArgument,
    tasks: Annotated[
        list[Path] | None,
        typer.Option("--task", help="A file of questions: JSON lines, CSV, or a folder or .tar.gz of CSVs; several."),
    ] = None,
    texts: Annotated[list[Path] | None, typer.Option("--texts", help="Text shards, or runs; several.")] = None,
    held_out: Annotated[
        float | None, typer.Option(help="Only the texts that `tokenize` holds out with this fraction.", min=0, max=1)
    ] = None,
    bucket: Annotated[str | None, typer.Option(help="Column of the texts to tell figures apart by.")] = None,
    max_tokens: Annotated[int, typer.Option(help="Tokens of each source, about.", min=1)] = 1_000_000,
    shots: Annotated[int | None, typer.Option(help="Examples before a question; else as is usual.", min=0)] = None,
    think: Annotated[
        int, typer.Option("--think", help="Tokens of a chain of thought before a letter is chosen.", min=0)
    ] = 0,
    answers: Annotated[Path | None, typer.Option(help="Gets a JSON line for each question.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Evaluate a model: bits per byte of held-out texts, and questions with known answers."""
    _require_torch()
    from pretrain.evaluate_model import evaluate_model

    found = evaluate_model(
        model,
        tasks=tasks or (),
        texts=texts or (),
        fraction=held_out,
        bucket=bucket,
        max_tokens=max_tokens,
        shots=shots,
        think_tokens=think,
        answers_to=answers,
        report=say,
    )
    if as_json:
        show_json(_as_values(found))
    else:
        show_all(_evaluation_lines(found))


def _as_values(found: "Evaluation") -> dict[str, Any]:
    texts = [
        {**group._asdict(), **vars(sums), "bits_per_byte": sums.bits_per_byte, "perplexity": sums.perplexity}
        for group, sums in found.texts.items()
    ]
    return {"texts": texts, "tasks": found.tasks}


def _evaluation_lines(found: "Evaluation") -> Iterator[Line]:
    if found.texts:
        rows = [
            (*group, f"{sums.documents:,}", f"{sums.bytes:,}", f"{sums.bits_per_byte:.4f}", f"{sums.perplexity:.2f}")
            for group, sums in found.texts.items()
        ]
        headings = ("source", "language", "bucket", "documents", "bytes", "bits per byte", "perplexity")
        used = [i for i in range(len(headings)) if i not in (1, 2) or any(row[i] for row in rows)]
        yield Table(tuple(headings[i] for i in used), tuple(tuple(row[i] for i in used) for row in rows))
        yield "bytes: UTF-8, of what is not masked; bits: of all tokens, the end of each document included"
    if found.tasks:
        of_tasks = [
            (task, name, f"{value:,.0f}" if name == "questions" else f"{value:.4f}")
            for task, values in found.tasks.items()
            for name, value in values.items()
        ]
        yield Table(("task", "figure", "value"), tuple(of_tasks))


def _stream(piece: str) -> None:
    """Print a piece of text at once; line breaks are its own, other characters that steer the terminal are escapes."""
    sys.stdout.write("\n".join(map(visible, piece.split("\n"))))
    sys.stdout.flush()


def _require_torch() -> None:
    if find_spec("torch") is None:
        raise UserError("models need the extra `train`: pip install 'gristmill[train]'")


def _cleaned_by(run: Path) -> str:
    """A line of the model card about a run."""
    from pipelines.run.folder import RunFolder

    folder = RunFolder(run)
    parts = folder.made_of().parts
    return (
        f"Cleaned by recipe `{folder.recipe().name}` with gristmill {parts['version']}, run `{run.resolve().name}`, "
        f"sha256 of recipe, inputs and libraries `{parts['digest']}`"
    )
