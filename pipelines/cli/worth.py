"""Commands that say what cleaning is worth."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.printing import say, show, show_all, this_command
from shards.errors import Interrupted, UserError

GridArgument = Annotated[Path, typer.Argument(help="The folder of `scaling run`, or a grid.json.")]

_PILOT_TOKENS = 1_000_000  # for whose batch a step is timed, before a budget says how many tokens there are


def ablate(
    run: Annotated[
        Path | None,
        typer.Argument(help="A run with its texts: all it extracted, its wanted languages, and what it kept."),
    ] = None,
    to: Annotated[Path, typer.Option("--out", help="Gets the trainings, ablation.json and ablation.html.")] = Path(
        "ablation"
    ),
    raw: Annotated[Path | None, typer.Option(help="A side named raw: a run or a token folder.")] = None,
    clean: Annotated[Path | None, typer.Option(help="A side named clean: a run or a token folder.")] = None,
    side: Annotated[list[str] | None, typer.Option(help="NAME=PATH: one more side.")] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(help="STAGE.RULE: a side of what RUN would keep without the rule, beside what it keeps."),
    ] = None,
    texts: Annotated[
        list[Path] | None, typer.Option(help="Evaluation texts: JSON lines, which no side may train on.")
    ] = None,
    text_key: Annotated[str, typer.Option(help="The value of a line that holds the text.")] = "text",
    tokenizer: Annotated[Path | None, typer.Option(help="A tokenizer.json; one is learned if not given.")] = None,
    preset: Annotated[str, typer.Option(help="The model: a preset's name.")] = "1m",
    tokens: Annotated[int | None, typer.Option(help="Tokens of each training.", min=1)] = None,
    budget: Annotated[float | None, typer.Option(help="Minutes for all trainings, in place of --tokens.")] = None,
    seeds: Annotated[int, typer.Option(help="Trainings of each side.", min=1)] = 3,
    held_out: Annotated[float, typer.Option(help="Fraction of the pages of runs that is held out.")] = 0.1,
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be done and shown, and stop.")] = False,
) -> None:
    """Train one small model on several sides, such as raw and clean text, and say whether their scores differ."""
    _require_training()
    from pipelines.worth import ablate as ablation
    from pipelines.worth.ablation_page import lines, write_page
    from pipelines.worth.chosen_sides import chosen_sides
    from pretrain.presets import PRESETS

    if (tokens is None) == (budget is None):
        raise UserError("give either --tokens of each training or --budget in minutes")
    sides = chosen_sides(
        run,
        _named(raw, clean, side),
        leave_out or [],
        to,
        held_out=held_out,
        tokenizer=tokenizer,
        texts=texts or [],
        text_key=text_key,
        say=say,
    )
    if preset not in PRESETS:
        raise UserError(f"--preset {preset}: expected one of {', '.join(PRESETS)}")
    law = ablation.Law(PRESETS[preset], tokens or _PILOT_TOKENS, seeds).ruled()

    def silent(_: object) -> None:
        """A line for each training is enough."""

    try:
        seconds = None
        if budget is not None:
            law, seconds = ablation.fit_to_budget(sides, law, budget, to, silent)
        for line in ablation.plan_lines(sides, law, seconds):
            say(line)
        if plan:
            return
        result = ablation.ablate(sides, law, to, say, silent)
    except Interrupted:
        raise Interrupted(f"interrupted; finished trainings are safe. To resume: {this_command()}") from None
    show_all(lines(result))
    show(f"wrote {write_page(result, to)}")


def suspects(
    model: Annotated[Path | None, typer.Argument(help="The folder of a training.")] = None,
    run: Annotated[Path | None, typer.Argument(help="A run whose documents it was trained on.")] = None,
    to: Annotated[Path, typer.Option("--out", help="Gets the lists.")] = Path("suspects"),
    max_tokens: Annotated[int, typer.Option(help="Tokens of each source to measure.", min=1)] = 10_000_000,
    sample: Annotated[int, typer.Option(help="Documents of each kind to draw for judging.", min=0)] = 25,
    judged: Annotated[Path | None, typer.Option(help="A judged sample: show the precision of each kind.")] = None,
) -> None:
    """List documents whose loss is near zero or very high, for `gristmill remove` and for people."""
    _require_training()
    from pipelines.worth import suspects as found

    if judged is not None:
        show_all(found.judged_lines(judged))
        return
    if model is None or run is None:
        raise UserError("name a training and a run, or a judged sample by --judged")
    show_all(found.lines(found.find_suspects(model, run, to, max_tokens=max_tokens, sample=sample)))


def scaling_run(
    tokens: Annotated[Path, typer.Argument(help="A token folder with held-out documents.", metavar="TOKENS/SOURCE")],
    to: Annotated[Path, typer.Option("--out", help="Gets the trainings and grid.json.")] = Path("scaling"),
    budget: Annotated[float, typer.Option(help="Minutes for all trainings.")] = 20,
) -> None:
    """Train a grid of small models within a budget, for `scaling fit`. The same command resumes."""
    _require_training()
    from pipelines.worth.scaling import fit_lines, run_grid

    try:
        grid = run_grid(tokens, to, budget, say)
    except Interrupted:
        raise Interrupted(f"interrupted; finished trainings are safe. To resume: {this_command()}") from None
    show_all(fit_lines(grid))


def scaling_fit(grid: GridArgument) -> None:
    """Fit the law of loss by size and data to a grid, and predict its largest training by the others."""
    _require_training()
    from pipelines.worth.scaling import fit_lines, read_grid

    show_all(fit_lines(read_grid(grid)))


def scaling_predict(
    grid: GridArgument,
    parameters: Annotated[float | None, typer.Option(help="Parameters of the layers.")] = None,
    tokens: Annotated[float | None, typer.Option(help="Tokens of the training.")] = None,
    flops: Annotated[float | None, typer.Option(help="Operations: the best size for them is told.")] = None,
) -> None:
    """Predict the loss of a size and number of tokens, or the best size for a number of operations."""
    _require_training()
    from pipelines.worth.scaling import predict_lines, read_grid

    by_size = parameters is not None and tokens is not None
    if by_size == (flops is not None) or any(value is not None and value <= 0 for value in (parameters, tokens, flops)):
        raise UserError("give either --parameters and --tokens, or --flops, above zero")
    show_all(predict_lines(read_grid(grid), parameters=parameters, tokens=tokens, flops=flops))


def _require_training() -> None:
    if find_spec("torch") is None:
        raise UserError("training needs the extra `train`: pip install 'gristmill[train]'")


def _named(raw: Path | None, clean: Path | None, sides: list[str] | None) -> dict[str, Path]:
    named = {name: path for name, path in (("raw", raw), ("clean", clean)) if path is not None}
    for option in sides or []:
        name, equals, path = option.partition("=")
        if not equals or not name or name in named:
            raise UserError(f"--side {option}: expected NAME=PATH, each name once")
        named[name] = Path(path)
    return named
