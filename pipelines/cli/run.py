"""Commands that make runs, and those that look ahead: run, apply, plan, sample."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipelines.cli.options import (
    CORES,
    AddressOption,
    ExecutorOption,
    MemoryOption,
    OverwriteOption,
    RecipeArgument,
    RunArgument,
    SetOption,
    ShipOption,
    WorkersOption,
    made_executor,
)
from pipelines.cli.printing import show, show_all, show_json, this_command
from pipelines.numbers import counted
from shards import mirror
from shards.errors import Interrupted, UserError

if TYPE_CHECKING:
    from pipelines.executors import Executor
    from pipelines.preview.cluster import Cluster, Prices
    from pipelines.recipe import Recipe
    from pipelines.run.opening import Run


def run(
    recipe: RecipeArgument,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="The run's folder, or a URL (s3://bucket/name); runs/<recipe> if not given.",
            parser=mirror.local,
            metavar="PATH",
        ),
    ] = None,
    executor: ExecutorOption = "pool",
    workers: WorkersOption = None,
    memory: MemoryOption = None,
    address: AddressOption = None,
    ship: ShipOption = False,
    settings: SetOption = None,
    part: Annotated[str | None, typer.Option(help="Take part I of N of the inputs only, as 2/5.")] = None,
    until_global: Annotated[
        bool, typer.Option("--until-global", help="Stop before the first global stage, for `gristmill merge`.")
    ] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Clean and deduplicate crawl files into Arrow shards. The same command resumes what was interrupted."""
    from pipelines.recipe import load_recipe
    from pipelines.run.opening import open_run
    from pipelines.run.part import WHOLE, Part

    made = made_executor(executor, workers, memory, address, ship)
    of_inputs = Part.parse(part) if part is not None else WHOLE
    resolved = load_recipe(recipe, settings or [])
    folder = folder.expanduser() if folder else Path("runs") / resolved.name
    _execute(open_run(resolved, folder, part=of_inputs, overwrite=overwrite), made, until_global=until_global)


def merge(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of runs made with --until-global, or URLs, in their order.",
            parser=mirror.local,
            metavar="RUN...",
        ),
    ],
    to: Annotated[
        Path,
        typer.Option(
            "--out", help="The folder of the run that joins them, or a URL.", parser=mirror.local, metavar="PATH"
        ),
    ],
    executor: ExecutorOption = "pool",
    workers: WorkersOption = None,
    memory: MemoryOption = None,
    address: AddressOption = None,
    ship: ShipOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Join runs of one recipe over different inputs, and make the rest: as one run over all inputs, byte for byte."""
    from pipelines.run.merging import open_merge

    made = made_executor(executor, workers, memory, address, ship)
    _execute(open_merge(runs, to.expanduser(), overwrite=overwrite), made)


def apply(
    folder: RunArgument,
    to: Annotated[
        Path, typer.Option("--out", help="The new run's folder, or a URL.", parser=mirror.local, metavar="PATH")
    ],
    settings: SetOption = None,
    executor: ExecutorOption = "pool",
    workers: WorkersOption = None,
    memory: MemoryOption = None,
    address: AddressOption = None,
    ship: ShipOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Make the run that other settings give, from a run's ledger and texts: nothing is extracted again."""
    from pipelines.replay.apply import open_apply

    made = made_executor(executor, workers, memory, address, ship)
    _execute(open_apply(folder, settings or [], to.expanduser(), overwrite=overwrite), made)


def _execute(opened: "Run", executor: "Executor", *, until_global: bool = False) -> None:
    """Bring a run to its end and print what it kept and dropped, or to its first global stage and print how it goes
    on."""
    from pipelines.passes import execute
    from pipelines.progress import ProgressDisplay
    from pipelines.report import last_lines
    from pipelines.verbs import status

    if opened.folder.is_done():
        show(f"{opened.folder} is done already; nothing was changed (--overwrite redoes it)")
    else:
        show_all(f"note: {note}" for _, stage in opened.recipe.stages for note in stage.notes())
        try:
            with ProgressDisplay() as progress:
                execute(opened, executor, progress, until_global=until_global)
        except Interrupted:
            raise Interrupted(f"interrupted; finished units are safe. To resume: {this_command()}") from None
        if executor.num_lost:
            show(f"note: {counted(executor.num_lost, 'task')} ran again, whose worker or node had died")
    if opened.folder.is_done():
        show_all(last_lines.lines(opened.folder.root))
    else:
        show_all(status.describe(opened.folder.root))


def plan(
    context: typer.Context,
    recipe: RecipeArgument,
    workers: WorkersOption = None,
    memory: MemoryOption = None,
    settings: SetOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    scale: Annotated[
        str | None,
        typer.Option(
            help="Plan for more files like those of source.paths, on a cluster: how many, their size (90TB), or "
            "snapshot, a whole one of Common Crawl."
        ),
    ] = None,
    nodes: Annotated[int, typer.Option(help="Of --scale: nodes of the cluster.", min=1)] = 1,
    cores: Annotated[int, typer.Option(help="Of --scale: cores of a node.", min=1)] = CORES,
    node_memory: Annotated[str | None, typer.Option(help="Of --scale: memory of a node; this machine's.")] = None,
    network: Annotated[str, typer.Option(help="Of --scale: a node's network, each way.")] = "10Gbit",
    core_speed: Annotated[float, typer.Option(help="Of --scale: a core there, in cores here.", min=0.01)] = 1.0,
    run_folder: Annotated[
        Literal["disk", "store"] | None,
        typer.Option(help="Of --scale: where --out lies; a store (s3://) if there are more nodes than one."),
    ] = None,
    price: Annotated[float | None, typer.Option(help="Of --scale: dollars a node and hour.", min=0)] = None,
    store_prices: Annotated[
        str, typer.Option(help="Of --scale: dollars for 1,000 PUTs, 1,000 GETs, a GB a month; S3's of March 2026.")
    ] = "0.005,0.0004,0.023",
    days: Annotated[float, typer.Option(help="Of --scale: days for which the finished run is kept.", min=0)] = 30.0,
) -> None:
    """Show which pairs a recipe's MinHash compares and what a run of source.paths takes: time, memory, disk; with
    --scale what a larger one takes on a cluster, money too."""
    from pipelines.executors import machine_memory, parse_memory
    from pipelines.preview.cluster import Cluster, Prices, parse_size
    from pipelines.preview.plan import curve_lines, curves, estimate, lines
    from pipelines.progress import ProgressDisplay
    from pipelines.recipe import load_recipe

    resolved = load_recipe(recipe, settings or [])
    num_bytes = parse_memory(memory) if memory is not None else None
    if scale is not None:
        of_node = parse_size("--node-memory", node_memory, "a size as 128GB") if node_memory else machine_memory()
        cluster = Cluster(
            nodes=nodes,
            cores=cores,
            node_memory=of_node,
            network=parse_size("--network", network, "bits or bytes a second, as 10Gbit"),
            core_speed=core_speed,
            in_store=nodes > 1 if run_folder is None else run_folder == "store",
            memory=num_bytes or of_node // 2,
        )
        _plan_scale(resolved, scale, cluster, Prices.parse(price, store_prices, days), as_json=as_json)
        return
    for name in (
        "nodes",
        "cores",
        "node_memory",
        "network",
        "core_speed",
        "run_folder",
        "price",
        "store_prices",
        "days",
    ):
        if (source := context.get_parameter_source(name)) is not None and source.name == "COMMANDLINE":
            raise UserError(f"--{name.replace('_', '-')}: describes the cluster of --scale; give --scale snapshot, too")
    shapes = curves(resolved)
    if not as_json:
        show_all(curve_lines(shapes))
    with ProgressDisplay() as progress:
        estimated = estimate(resolved, workers or CORES, num_bytes, progress)
    if as_json:
        minhash = [asdict(shape) for shape in shapes]
        show_json({"minhash": minhash, "estimate": asdict(estimated) if estimated else None})
    elif estimated is None:
        show(f"for time, memory and disk give inputs: gristmill plan {recipe} --set source.paths=DIR")
    else:
        show_all(lines(estimated))


def _plan_scale(recipe: "Recipe", scale: str, cluster: "Cluster", prices: "Prices", *, as_json: bool) -> None:
    from pipelines.preview import scale as scaling
    from pipelines.preview.cluster import Crawl
    from pipelines.preview.plan import try_out
    from pipelines.progress import ProgressDisplay

    Crawl.parse(scale, [1])  # refused before anything is measured
    with ProgressDisplay() as progress:
        tried = try_out(recipe, CORES, progress)
    if tried is None:
        raise UserError("--scale: needs files to measure; give one or some by --set source.paths=FILE")
    crawl = Crawl.parse(scale, [file.num_bytes for files in tried.inputs.values() for file in files])
    scaled = scaling.reckon_scale(recipe, tried.probes, crawl, cluster, prices, tried.ready)
    if as_json:
        show_json(asdict(scaled) | {"total_seconds": scaled.total_seconds, "total_dollars": scaled.total_dollars})
    else:
        show_all(scaling.lines(scaled))


def sample(
    paths: Annotated[list[str], typer.Argument(help="Files, folders or URLs of a crawl, and last the RECIPE.")],
    number: Annotated[int, typer.Option("-n", help="About how many documents.", min=1)] = 200,
    seed: Annotated[int, typer.Option(help="Another seed takes another random part.")] = 0,
    settings: SetOption = None,
    num_texts: Annotated[
        int, typer.Option("--show", help="Texts printed for each drop reason, and of kept documents.", min=0)
    ] = 2,
) -> None:
    """Run a random part of INPUT... through RECIPE: funnel and samples in a minute, before a dump is started."""
    from pipelines.preview.sample import lines, sample_run

    *inputs, recipe = paths
    if not inputs:
        raise UserError("sample: give at least one input and the recipe: gristmill sample INPUT RECIPE")
    with sample_run(inputs, recipe, settings or [], number, seed) as folder:
        show_all(lines(folder, num_texts))
