"""`gristmill plan --scale`: time, memory, disk, requests and money of a run on a cluster, from rates measured here.

    a probe of a few seconds ──by bytes──▶ seconds of a core, documents, text, disk ┐
    stages ──their cost──▶ deduplication, its files, what the driver does of it     ┼─▶ figures with their assumptions
    the cluster: cores, memory, network, prices                                     ┘

A part of a run is shared by all cores, unless the network is slower; what only the driver does is added, whatever the
cluster is. Where parts go on at the same time, the slowest counts.

    cores    ████ cleaning ████ ██ stage ██   ██ stage ██   ██ finish ██
    driver                                ░░            ░░              ░░ dropped ░░ report ░░
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from pipelines.lines import Line, Table
from pipelines.numbers import counted, size
from pipelines.preview.cluster import Cluster, Crawl, Prices
from pipelines.preview.large_run import LargeRun
from pipelines.preview.plan import duration
from pipelines.preview.probe import Probe
from pipelines.preview.whole import MAIN_BYTES, Whole
from pipelines.recipe import Recipe
from pipelines.run.folder import RunFolder
from shards.exchange import GlobalStageConfig
from shards.read_ahead import num_fetches

# Seconds of one core, measured between runs of 15,000 and of 45,000 English texts with the rules of recipe `gristmill`.
_FINISH_PER_DOCUMENT = 20e-6  # of tasks: join facts and verdicts, write ledger and shard
_TAKE_PER_DOCUMENT = 1.3e-6  # of the driver: results of tasks, the smallest ids of each reason
_DROPPED_PER_DOCUMENT = 3.4e-6  # of the driver: look for the chosen ids in the files of each block
_REPORT_PER_DOCUMENT = 17e-6  # of the driver: one pass over the ledger
_TAKE_PER_UNIT = 0.8e-3  # of the driver, as docs/performance.md has it
_COMPILE_S = 70.0  # at most, once a node (docs/performance.md)

_DRIVER_BYTES_PER_UNIT = 2_400  # 200,000 manifests take 480 MB (docs/performance.md)
_PIECE_BYTES = 32 << 20  # of a PUT (`shards.object_store`)
_UNIT_PUTS = 3  # shard, ledger, manifest
_PASS_PUTS = 4  # facts, text, dropped, manifest
_BLOCK_FILES = 11  # that a stage leaves for a block, at most: those of `substring`
_VERDICT_FILES = 3  # verdicts, spans and columns, which need not be there
_DRIVER_READS = 3  # texts and dropped texts of the pass, ledger


@dataclass(frozen=True)
class Figure:
    name: str
    amount: float
    assumption: str


@dataclass(frozen=True)
class Scaled:
    """What a run takes. Each group of figures is named after its unit."""

    crawl: Crawl
    cluster: Cluster
    documents: int
    units: int
    workers: int
    seconds: tuple[Figure, ...]  # parts that follow each other
    memory_bytes: tuple[Figure, ...]
    disk_bytes: tuple[Figure, ...]
    requests: tuple[Figure, ...]
    dollars: tuple[Figure, ...]
    notes: tuple[str, ...]  # why it cannot be so, or not on this cluster

    @property
    def total_seconds(self) -> float:
        return sum(part.amount for part in self.seconds)

    @property
    def total_dollars(self) -> float:
        return sum(part.amount for part in self.dollars)


def reckon_scale(
    recipe: Recipe, probes: Sequence[Probe], crawl: Crawl, cluster: Cluster, prices: Prices, ready: float
) -> Scaled:
    """The run of `recipe` over `crawl`, whose records are like those that the `probes` drew. `ready` is how many
    seconds a process takes to start."""
    run = LargeRun(recipe, Whole(recipe, probes, crawl.num_bytes), crawl, cluster)
    seconds = tuple(_times(run, ready))
    disk, requests = _disk(run), _requests(run)
    hours = sum(part.amount for part in seconds) / 3600
    return Scaled(
        crawl=crawl,
        cluster=cluster,
        documents=round(run.documents),
        units=run.units,
        workers=run.workers,
        seconds=seconds,
        memory_bytes=_memory(run),
        disk_bytes=disk,
        requests=requests,
        dollars=tuple(_money(cluster, prices, hours, disk, requests)),
        notes=tuple(_notes(run, prices)),
    )


def lines(scaled: Scaled) -> Iterator[Line]:
    """What is reckoned, the figures in a table, and their sums."""
    crawl, cluster = scaled.crawl, scaled.cluster
    documents = counted(scaled.documents, "document")
    yield f"{counted(crawl.files, 'file')}, {size(crawl.num_bytes)}, about {documents}: {crawl.assumption}"
    yield (
        f"{counted(cluster.nodes, 'node')} of {counted(cluster.cores, 'core')}, {size(cluster.node_memory)} and "
        f"{cluster.network * 8e-9:,.3g} Gbit/s: {counted(scaled.workers, 'worker')}; a core there is "
        f"{cluster.core_speed:g} × a core here"
    )
    groups = (
        ("time", scaled.seconds, duration),
        ("memory", scaled.memory_bytes, size),
        ("disk", scaled.disk_bytes, size),
        ("requests", scaled.requests, lambda amount: f"{amount:,.0f}"),
        ("money", scaled.dollars, _dollars),
    )
    yield Table(
        ("figure", "", "assumption"),
        tuple(
            (f"{group}: {figure.name}", shown(figure.amount), figure.assumption)
            for group, figures, shown in groups
            for figure in figures
        ),
    )
    yield f"time: about {duration(scaled.total_seconds)}"
    yield f"money: about {_dollars(scaled.total_dollars)}"
    yield from (f"note: {note}" for note in scaled.notes)


def _dollars(amount: float) -> str:
    return f"${amount:,.2f}"


def _slowest(limits: Mapping[str, float]) -> tuple[float, str]:
    """(seconds, how they follow) of what goes on at the same time."""
    first = max(limits, key=lambda name: limits[name])
    others = [f"{name} {duration(seconds)}" for name, seconds in limits.items() if name != first and seconds]
    return limits[first], f"limited by {first}" + (f" ({', '.join(others)})" if others else "")


def _times(run: LargeRun, ready: float) -> Iterator[Figure]:
    whole, documents = run.whole, max(1.0, run.documents)
    start = 2 * ready + whole.loading + _COMPILE_S
    yield Figure(
        "start-up", start, f"as here, and kernels are compiled on each node, {_COMPILE_S:.0f} s; no wait for nodes"
    )
    for name, stages in whole.groups.items():
        spent = sum(whole.cpu_seconds(stage) for stage in stages)
        limits = {"cores": run.compute_seconds(spent, run.units)}
        if name == "writing" and run.moves_files:
            limits["network"] = run.network_seconds(run.pass_disk + whole.disk(RunFolder.TEXTS))
        elif "read" in stages:
            limits["network"] = run.network_seconds(run.crawl.num_bytes)
        seconds, limit = _slowest(limits)
        busy = counted(len(whole.probes), "core")
        tried = f"{spent / documents * 1e3:.3g} ms a document on a core here with {busy} busy, without time of others"
        yield Figure(name, seconds, f"{tried}; {limit}")
    for stage in whole.global_stages:
        yield _stage_time(run, stage)
    yield _finish_time(run)
    if run.recipe.output.dropped_per_rule != 0:
        yield _driver_time(run, "dropped texts", _DROPPED_PER_DOCUMENT, run.pass_disk)
    yield _driver_time(run, "report", _REPORT_PER_DOCUMENT, whole.disk(RunFolder.LEDGER))


def _stage_time(run: LargeRun, stage: GlobalStageConfig) -> Figure:
    cost, (documents, megabytes) = stage.cost, run.whole.reaching(stage.name)
    spent = cost.seconds_per_document * documents + cost.seconds_per_mb * megabytes
    limits = {"cores": run.compute_seconds(spent, run.blocks)}
    if run.moves_files:
        texts = cost.text_reads * megabytes * 1e6 * run.stored_share
        # An object is fetched whole, whatever part of it a task reads; of a shared disk only that part.
        copies = run.cluster.nodes if run.cluster.in_store else 1
        limits["network"] = run.network_seconds((texts + copies * run.stage_disk(stage)) * run.cluster.elsewhere)
    seconds, limit = _slowest(limits)
    of_driver = run.driver_seconds(cost.driver_seconds_per_document * documents)
    rate = (
        f"{cost.seconds_per_mb * 1e3:.1f} ms a megabyte"
        if cost.seconds_per_mb
        else f"{cost.seconds_per_document * 1e6:.1f} µs a document"
    )
    if run.blocks < run.workers:
        rate += f", {counted(run.blocks, 'task')} at once"
    return Figure(
        stage.name,
        run.whole.first_seconds(stage.name) + seconds + of_driver,
        f"{documents:,.0f} documents, {size(megabytes * 1e6)} of text; {rate}, {limit}; then {duration(of_driver)} of "
        "the driver alone; linear in documents and text",
    )


def _finish_time(run: LargeRun) -> Figure:
    written = run.whole.disk(RunFolder.SHARDS, RunFolder.LEDGER)
    limits = {
        "cores": run.compute_seconds(_FINISH_PER_DOCUMENT * run.documents, run.units),
        "the driver": run.driver_seconds(_TAKE_PER_DOCUMENT * run.documents + _TAKE_PER_UNIT * run.units),
    }
    if run.moves_files:
        limits["network"] = run.network_seconds(run.pass_disk * run.cluster.elsewhere + written)
    seconds, limit = _slowest(limits)
    return Figure(
        "finish",
        seconds,
        f"{_FINISH_PER_DOCUMENT * 1e6:.0f} µs a document; of the driver {_TAKE_PER_DOCUMENT * 1e6:.1f} µs a document "
        f"and {_TAKE_PER_UNIT * 1e3:.1f} ms for each of {counted(run.units, 'unit')}; {limit}",
    )


def _driver_time(run: LargeRun, name: str, per_document: float, num_bytes: float) -> Figure:
    """A part that only the driver does, which reads `num_bytes` for it."""
    limits = {"the driver": run.driver_seconds(per_document * run.documents)}
    if run.moves_files:
        limits["network"] = num_bytes * run.cluster.elsewhere / run.cluster.network
    seconds, limit = _slowest(limits)
    return Figure(name, seconds, f"{per_document * 1e6:.1f} µs a document on one core, whatever the cluster; {limit}")


def _memory(run: LargeRun) -> tuple[Figure, ...]:
    cleaning = MAIN_BYTES + run.workers_a_node * run.worker_memory
    dedup = min(run.cluster.memory, run.whole.dedup_memory // run.cluster.nodes)
    node = (
        Figure(
            "a node",
            cleaning,
            f"{counted(run.workers_a_node, 'worker')} as in the probe, {size(run.worker_memory)} each",
        )
        if cleaning >= dedup
        else Figure("a node", dedup, f"deduplication, within {size(run.cluster.memory)} (--memory)")
    )
    of_stages = {
        s.name: s.cost.driver_bytes_per_document * run.whole.reaching(s.name)[0] for s in run.whole.global_stages
    }
    most = max(of_stages, key=lambda name: of_stages[name])
    driver = Figure(
        "the driver",
        MAIN_BYTES + _DRIVER_BYTES_PER_UNIT * run.units + of_stages[most],
        f"{_DRIVER_BYTES_PER_UNIT:,} bytes a unit, and {size(of_stages[most])} for {most}, which holds some bytes for "
        "each document (of repeated passages: for each that has one, here all)",
    )
    return node, driver


def _disk(run: LargeRun) -> tuple[Figure, ...]:
    whole = run.whole
    of_stages = {stage.name: run.stage_disk(stage) for stage in whole.global_stages}
    most = max(of_stages, key=lambda name: of_stages[name])
    kept = whole.kept_disk
    scratch = of_stages[most] if run.cluster.in_store else 0.0
    return (
        Figure(
            "the run's folder at its peak",
            run.pass_disk + kept + sum(of_stages.values()),
            f"as in the probe, by bytes of the inputs, and what stages exchange, {size(of_stages[most])} of it for "
            f"{most}; work is deleted when the report is written; disks are taken to keep up with the cores",
        ),
        Figure("the run's folder when done", kept, "shards, ledger, texts, dropped texts and edges, as in the probe"),
        Figure(
            "scratch of a node",
            scratch,
            f"copies of all files of {most}, which a node fetches whole; with less, they are fetched again and again"
            if run.cluster.in_store
            else "none: the run's folder is on a disk that the nodes share",
        ),
    )


def _requests(run: LargeRun) -> tuple[Figure, ...]:
    whole, cluster = run.whole, run.cluster
    fetches = num_fetches(ceil(run.crawl.num_bytes / run.units))
    inputs = Figure(
        "GETs of inputs",
        run.crawl.files + run.units * fetches,
        f"one for the size of a file, {fetches} for each of {counted(run.units, 'unit')}, none made again; none where "
        "the inputs are on a disk",
    )
    if not cluster.in_store:
        return inputs, *(Figure(name, 0, "none: the run's folder is on a disk") for name in ("PUTs", "GETs of the run"))
    passes, stages = len(run.recipe.passes()), len(whole.global_stages)
    unit_files = _UNIT_PUTS + _PASS_PUTS * passes + run.recipe.output.texts
    peak = run.pass_disk + whole.kept_disk + sum(map(run.stage_disk, whole.global_stages))
    block_files = run.blocks * stages * _BLOCK_FILES
    puts = Figure(
        "PUTs",
        run.units * unit_files + block_files + peak // _PIECE_BYTES,
        f"{unit_files} files a unit, up to {_BLOCK_FILES} for each stage and each of {counted(run.blocks, 'block')}, "
        f"large ones in pieces of {_PIECE_BYTES >> 20} MiB; lists and renewals of the lock are not counted",
    )
    reads = passes * _PASS_PUTS + sum(stage.cost.text_reads for stage in whole.global_stages) + _DRIVER_READS
    asks = min(run.units, run.workers * run.blocks) * stages * _VERDICT_FILES
    gets = Figure(
        "GETs of the run",
        run.units * reads * cluster.elsewhere + asks + block_files * (cluster.nodes - 1),
        f"{reads} of a unit's files where another node wrote them; {_VERDICT_FILES} for what each stage decided of a "
        "block, there or not, once a process; what stages leave for blocks, once by each other node; none made again",
    )
    return inputs, puts, gets


def _money(
    cluster: Cluster, prices: Prices, hours: float, disk: Sequence[Figure], requests: Sequence[Figure]
) -> Iterator[Figure]:
    node_hours = cluster.nodes * hours
    yield Figure(
        "nodes",
        node_hours * (prices.node_hour or 0.0),
        f"{node_hours:,.1f} node-hours, all nodes to the end, at ${prices.node_hour:g} (--price)"
        if prices.node_hour is not None
        else f"{node_hours:,.1f} node-hours without a price (--price)",
    )
    get_inputs, puts, gets = (figure.amount for figure in requests)
    yield Figure(
        "requests",
        puts * prices.put + (get_inputs + gets) * prices.get,
        f"${prices.put * 1000:g} for 1,000 PUTs, ${prices.get * 1000:g} for 1,000 GETs (--store-prices; Amazon S3 "
        "us-east-1, March 2026); traffic within its region is free",
    )
    peak, kept = (figure.amount for figure in disk[:2])
    month_hours = 30 * 24
    stored = (peak * hours + kept * prices.days * 24) / month_hours / 1e9 if cluster.in_store else 0.0
    yield Figure(
        "storage",
        stored * prices.gb_month,
        f"${prices.gb_month:g} a GB and month of 30 days: the peak for the whole run, then what is kept for "
        f"{prices.days:g} days (--days)"
        if cluster.in_store
        else "none: disks are part of the nodes' price",
    )


def _notes(run: LargeRun, prices: Prices) -> Iterator[str]:
    cluster = run.cluster
    if run.workers_a_node < cluster.cores:
        yield (
            f"{counted(run.workers_a_node, 'worker')} a node: {size(cluster.node_memory)} hold no more of "
            f"{size(run.worker_memory)}; the other cores are idle"
        )
    if MAIN_BYTES + run.worker_memory > cluster.node_memory:
        yield f"a node of {size(cluster.node_memory)} is too small for one worker"
    if (driver := _memory(run)[1].amount) > cluster.node_memory:
        yield f"the driver needs {size(driver)}, more than a node has; give it a larger one"
    yield (
        "the inputs were tried on a small part: pairs and repeated passages are taken for as many a document as in the "
        "texts of docs/performance.md (8 to 14 % near-duplicates); a crawl with more takes more time, disk and memory"
    )
    if prices.node_hour is None:
        yield "money is without the nodes; give --price, dollars for a node and hour"
