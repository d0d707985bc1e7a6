"""Commands that look ahead: check, plan, sample."""

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipelines.cli.options import (
    CORES,
    InputsArgument,
    JsonOption,
    MemoryOption,
    RecipeArgument,
    SetOption,
    WorkersOption,
)
from pipelines.cli.printing import show, show_all, show_json
from shards.errors import UserError

if TYPE_CHECKING:
    from pipelines.preview.cluster import Cluster, Prices
    from pipelines.recipe import Recipe

_PANEL = "The cluster of --scale"
_OF_SCALE = ("nodes", "cores", "node_memory", "network", "core_speed", "run_folder", "price", "store_prices", "days")


def check(recipe: RecipeArgument, inputs: InputsArgument = None, settings: SetOption = None) -> None:
    """Say whether a run of a recipe could start: its settings, inputs, models and lists, a line each."""
    from pipelines.recipe import load_recipe
    from pipelines.verbs.check import lines

    show_all(lines(load_recipe(recipe, settings or [], inputs or [])))


def plan(
    context: typer.Context,
    recipe: RecipeArgument,
    inputs: InputsArgument = None,
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
    nodes: Annotated[int, typer.Option(help="Nodes.", min=1, rich_help_panel=_PANEL)] = 1,
    cores: Annotated[int, typer.Option(help="Cores of a node.", min=1, rich_help_panel=_PANEL)] = CORES,
    node_memory: Annotated[
        str | None,
        typer.Option(help="Memory of a node, like 128GB; this machine's if not given.", rich_help_panel=_PANEL),
    ] = None,
    network: Annotated[str, typer.Option(help="Of a node, each way.", rich_help_panel=_PANEL)] = "10Gbit",
    core_speed: Annotated[
        float, typer.Option(help="What a core there is of a core here.", min=0.01, rich_help_panel=_PANEL)
    ] = 1.0,
    run_folder: Annotated[
        Literal["disk", "store"] | None,
        typer.Option(help="Where --out lies; a store if there are several nodes.", rich_help_panel=_PANEL),
    ] = None,
    price: Annotated[
        float | None, typer.Option(help="Dollars for a node and hour.", min=0, rich_help_panel=_PANEL)
    ] = None,
    store_prices: Annotated[
        str,
        typer.Option(
            help="Dollars for 1,000 PUTs, 1,000 GETs, a GB a month; S3's of March 2026.", rich_help_panel=_PANEL
        ),
    ] = "0.005,0.0004,0.023",
    days: Annotated[
        float, typer.Option(help="Days for which the finished run is kept.", min=0, rich_help_panel=_PANEL)
    ] = 30.0,
) -> None:
    """Show which pairs a recipe's MinHash compares and what a run of source.paths takes: time, memory, disk; with
    --scale what a larger one takes on a cluster, money too."""
    from pipelines.executors import machine_memory, parse_memory
    from pipelines.preview.cluster import Cluster, Prices, parse_size
    from pipelines.recipe import load_recipe

    resolved = load_recipe(recipe, settings or [], inputs or [])
    num_bytes = parse_memory(memory) if memory is not None else None
    if scale is None:
        for name in _OF_SCALE:
            if (source := context.get_parameter_source(name)) is not None and source.name == "COMMANDLINE":
                raise UserError(f"--{name.replace('_', '-')}: is for --scale; give --scale snapshot, too")
        _plan(recipe, resolved, workers or CORES, num_bytes, as_json=as_json)
        return
    for name, value in (("core-speed", core_speed), ("price", price), ("days", days)):
        if value is not None and not math.isfinite(value):
            raise UserError(f"--{name} {value}: expected a number")
    of_node = machine_memory() if node_memory is None else parse_size("--node-memory", node_memory, "a size as 128GB")
    if num_bytes is not None and num_bytes > of_node:
        raise UserError(f"--memory {memory}: a node has {of_node / 1e9:.1f} GB; give less, or a larger --node-memory")
    cluster = Cluster(
        nodes=nodes,
        cores=cores,
        node_memory=of_node,
        network=parse_size("--network", network, "bits or bytes a second, as 10Gbit"),
        core_speed=core_speed,
        in_store=nodes > 1 if run_folder is None else run_folder == "store",
        memory=num_bytes or of_node // 2,
    )
    prices = Prices.parse(price, store_prices, days)
    _plan_scale(resolved, workers or CORES, scale, cluster, prices, as_json=as_json)


def _plan(name: str, recipe: "Recipe", workers: int, memory: int | None, *, as_json: bool) -> None:
    from pipelines.preview.plan import curve_lines, curves, estimate, lines
    from pipelines.progress import ProgressDisplay

    shapes = curves(recipe)
    if not as_json:
        show_all(curve_lines(shapes))
    with ProgressDisplay() as progress:
        estimated = estimate(recipe, workers, memory, progress)
    if as_json:
        minhash = [asdict(shape) for shape in shapes]
        show_json({"minhash": minhash, "estimate": asdict(estimated) if estimated else None})
    elif estimated is None:
        show(f"for time, memory and disk give inputs: gristmill plan {name} INPUT")
    else:
        show_all(lines(estimated))


def _plan_scale(
    recipe: "Recipe", workers: int, scale: str, cluster: "Cluster", prices: "Prices", *, as_json: bool
) -> None:
    from pipelines.preview.cluster import Crawl
    from pipelines.preview.plan import try_out
    from pipelines.preview.scale import lines, reckon_scale
    from pipelines.progress import ProgressDisplay

    kinds = [source.kind for source in recipe.sources.values()]
    Crawl.parse(scale, [1], kinds)  # refused before anything is measured
    with ProgressDisplay() as progress:
        tried = try_out(recipe, workers, progress)
    if tried is None:
        raise UserError("--scale: needs files to measure; give one or some: gristmill plan RECIPE FILE")
    crawl = Crawl.parse(scale, [file.num_bytes for files in tried.inputs.values() for file in files], kinds)
    scaled = reckon_scale(recipe, tried.probes, crawl, cluster, prices, tried.ready)
    if as_json:
        show_json(asdict(scaled) | {"total_seconds": scaled.total_seconds, "total_dollars": scaled.total_dollars})
    else:
        show_all(lines(scaled))


def sample(
    recipe: RecipeArgument,
    inputs: InputsArgument = None,
    number: Annotated[int, typer.Option("-n", help="About how many documents.", min=1)] = 200,
    seed: Annotated[int, typer.Option(help="Another seed takes another random part.")] = 0,
    settings: SetOption = None,
    num_texts: Annotated[
        int, typer.Option("--show", help="Texts printed for each drop reason, and of kept documents.", min=0)
    ] = 2,
    as_json: JsonOption = False,
) -> None:
    """Run a random part of a crawl through a recipe: funnel and samples in a minute, before a dump is started."""
    from pipelines.preview.sample import figures, lines, sample_run

    with sample_run(inputs or [], recipe, settings or [], number, seed) as folder:
        if as_json:
            show_json(figures(folder, num_texts))
        else:
            show_all(lines(folder, num_texts))
