"""What `gristmill plan --scale` foretells: figures move with what they are made of, and agree with `plan`."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command import gristmill
from crawl import RECIPE, Crawl, article, sentences

from pipelines.preview.cluster import Cluster, Prices
from pipelines.preview.cluster import Crawl as LargeCrawl
from pipelines.preview.plan import reckon, try_out
from pipelines.preview.scale import Scaled, lines, reckon_scale
from pipelines.recipe import load_recipe
from shards.storage import InputFile
from tests.pipelines.preview.test_plan import probe

CRAWL = LargeCrawl(1000, 10**12, "made up")
CLUSTER = Cluster(4, 32, 128 * 10**9, 1.25e9, 1.0, in_store=True, memory=64 * 10**9)
PRICES = Prices(2.0, 5e-6, 4e-7, 0.023, 30)
GROUPS = ("seconds", "memory_bytes", "disk_bytes", "requests", "dollars")
SHARED = ("reading and extraction", "rules")  # by all cores, where the network is fast
OF_DRIVER = ("dropped texts", "report")


@pytest.fixture
def recipe_path(tmp_path: Path) -> Path:
    (tmp_path / "r.toml").write_text(RECIPE)
    return tmp_path / "r.toml"


@pytest.fixture
def scaled(recipe_path: Path) -> Any:
    """Reckons for made-up probes and a recipe whose text is cleaned slowly."""

    def reckoned(crawl: LargeCrawl = CRAWL, prices: Prices = PRICES, settings: Any = (), **of_cluster: Any) -> Scaled:
        recipe = load_recipe(str(recipe_path), settings)
        probes = [probe(1_000_000, 2.0, {"page.x": 20})]
        return reckon_scale(recipe, probes, crawl, replace(CLUSTER, **of_cluster), prices, 1.0)

    return reckoned


def amounts(scaled: Scaled, group: str) -> dict[str, float]:
    return {figure.name: figure.amount for figure in getattr(scaled, group)}


def test_every_figure_has_an_assumption_and_a_line(scaled: Any) -> None:
    found = scaled()
    figures = [figure for group in GROUPS for figure in getattr(found, group)]
    assert all(figure.assumption and figure.amount >= 0 for figure in figures)
    parts = ["start-up", "reading and extraction", "rules", "writing", "same_record", "exact", "near", "finish"]
    assert [figure.name for figure in found.seconds] == [*parts, *OF_DRIVER]
    table = next(line for line in lines(found) if not isinstance(line, str))
    assert [row[0].partition(": ")[2] for row in table.rows] == [figure.name for figure in figures]
    assert all(len(row) == 3 and all(row) for row in table.rows)


def test_twice_the_nodes_halve_what_all_share_and_nothing_of_the_drivers(scaled: Any) -> None:
    few, many = (amounts(scaled(nodes=nodes, cores=8, network=1e15), "seconds") for nodes in (4, 8))
    for part in SHARED:
        assert few[part] == pytest.approx(2 * many[part])
    for part in OF_DRIVER:
        assert few[part] == many[part] > 0
    assert few["near"] > many["near"] > few["near"] / 2


def test_no_more_workers_are_busy_in_a_stage_than_there_are_blocks(scaled: Any) -> None:
    few, many = (scaled(nodes=nodes, network=1e15) for nodes in (4, 8))
    assert amounts(few, "seconds")["near"] == amounts(many, "seconds")["near"]
    near = next(figure for figure in many.seconds if figure.name == "near")
    assert "64 tasks at once" in near.assumption


def test_twice_the_cores_halve_what_all_share_until_memory_holds_no_more_workers(scaled: Any) -> None:
    few, many, limited = (scaled(cores=cores, network=1e15) for cores in (32, 64, 1024))
    assert amounts(few, "seconds")["rules"] == pytest.approx(2 * amounts(many, "seconds")["rules"])
    assert (few.workers, many.workers) == (128, 256)
    assert limited.workers == 4 * ((128 * 10**9 - 300_000_000) // 400_000_000)
    assert any("hold no more" in note for note in limited.notes)
    assert not any("hold no more" in note for note in many.notes)


def test_faster_cores_shorten_what_cores_do_the_drivers_too(scaled: Any) -> None:
    slow, fast = (amounts(scaled(core_speed=speed, network=1e15), "seconds") for speed in (1.0, 2.0))
    for part in (*SHARED, *OF_DRIVER):
        assert slow[part] == pytest.approx(2 * fast[part])


def test_twice_the_crawl_takes_twice_of_all_that_grows_with_it(scaled: Any) -> None:
    once, twice = scaled(), scaled(replace(CRAWL, files=2000, num_bytes=2 * 10**12))
    assert twice.documents == 2 * once.documents
    for group, tolerance in (("disk_bytes", 0.01), ("requests", 0.1)):  # there are as many blocks
        for name, amount in amounts(once, group).items():
            assert amounts(twice, group)[name] == pytest.approx(2 * amount, rel=tolerance), name
    for part in (*SHARED, *OF_DRIVER):
        assert amounts(twice, "seconds")[part] == pytest.approx(2 * amounts(once, "seconds")[part])
    assert amounts(twice, "memory_bytes")["the driver"] > amounts(once, "memory_bytes")["the driver"]
    assert twice.total_dollars > 1.9 * once.total_dollars


def test_time_in_which_others_had_the_cores_is_left_out(recipe_path: Path) -> None:
    alone = probe(1_000_000, 2.0, {})
    half = replace(alone, second=replace(alone.second, cpu_share=0.5))
    recipe = load_recipe(str(recipe_path))
    whole, part = (
        amounts(reckon_scale(recipe, [one], CRAWL, replace(CLUSTER, network=1e15), PRICES, 1.0), "seconds")
        for one in (alone, half)
    )
    for name in SHARED:
        assert whole[name] == pytest.approx(2 * part[name])


def test_a_slow_network_is_the_limit_of_what_it_carries(scaled: Any) -> None:
    slow, slower = (scaled(network=rate) for rate in (1e6, 0.5e6))
    reading = slow.seconds[1]
    assert "limited by network" in reading.assumption
    assert reading.amount == pytest.approx(10**12 / 4 / 1e6)
    assert slower.seconds[1].amount == pytest.approx(2 * reading.amount)
    assert slow.seconds[2] == slower.seconds[2], "rules read nothing"


def test_an_object_is_fetched_whole_by_each_node_and_of_a_shared_disk_a_part(scaled: Any) -> None:
    store, disk, alone = (
        amounts(scaled(network=1e6, in_store=in_store, nodes=nodes), "seconds")["near"]
        for in_store, nodes in ((True, 4), (False, 4), (False, 1))
    )
    assert store > disk > alone


def test_a_store_costs_requests_room_and_scratch_and_a_disk_none(scaled: Any) -> None:
    store, disk = (scaled(in_store=in_store) for in_store in (True, False))
    assert all(amounts(store, "requests").values())
    assert amounts(disk, "requests") | {"GETs of inputs": 0} == {"GETs of inputs": 0, "PUTs": 0, "GETs of the run": 0}
    assert amounts(disk, "dollars")["storage"] == amounts(disk, "disk_bytes")["scratch of a node"] == 0
    assert amounts(store, "dollars")["storage"] > 0
    assert amounts(store, "disk_bytes")["scratch of a node"] > 0


def test_each_price_moves_its_own_money(scaled: Any) -> None:
    base = amounts(scaled(), "dollars")
    for prices, moved in (
        (replace(PRICES, node_hour=4.0), "nodes"),
        (replace(PRICES, put=1e-5, get=8e-7), "requests"),
        (replace(PRICES, gb_month=0.046), "storage"),
    ):
        found = amounts(scaled(prices=prices), "dollars")
        assert found == pytest.approx(base | {moved: 2 * base[moved]})
    assert amounts(scaled(prices=replace(PRICES, days=60)), "dollars")["storage"] > base["storage"]
    unpriced = scaled(prices=replace(PRICES, node_hour=None))
    assert amounts(unpriced, "dollars")["nodes"] == 0
    assert "--price" in unpriced.notes[-1]


def test_dropped_texts_cost_nothing_where_none_are_kept(scaled: Any) -> None:
    names = [figure.name for figure in scaled(settings=["output.dropped_per_rule=0"]).seconds]
    assert "dropped texts" not in names
    assert "report" in names


def test_a_driver_that_does_not_fit_into_a_node_is_named(scaled: Any) -> None:
    assert not any("the driver needs" in note for note in scaled().notes)
    assert any("the driver needs" in note for note in scaled(replace(CRAWL, num_bytes=10**16)).notes)


def test_at_the_size_of_what_was_tried_it_says_what_plan_says(recipe_path: Path, tmp_path: Path) -> None:
    """Of parts that both reckon, for one node like this machine."""
    made = Crawl()
    for i in range(90):
        made.other("request").page(f"https://a.example/{i}", article(f"Page {i}", sentences(i)))
    made.write(tmp_path / "crawl" / "a.warc.gz")
    recipe = load_recipe(str(recipe_path), [f"source.paths={tmp_path / 'crawl'}"])
    tried = try_out(recipe, 1, lambda _: None)
    assert tried is not None
    (file,) = tried.inputs["web"]
    here = Cluster(1, 1, 16 * 10**9, 1e15, 1.0, in_store=False, memory=8 * 10**9)
    crawl = LargeCrawl.parse("1", [file.num_bytes])
    large = reckon_scale(recipe, tried.probes, crawl, here, PRICES, tried.ready)
    small = reckon(recipe, tried.inputs, tried.probes, 1, 8 * 10**9, tried.ready)
    assert large.documents == 90
    seconds, of_plan = amounts(large, "seconds"), {part.name: part.seconds for part in small.parts}
    share = tried.probes[0].second.cpu_share
    for part in SHARED:
        assert seconds[part] == pytest.approx(share * of_plan[part])
    for part in ("same_record", "exact", "near"):
        assert seconds[part] == pytest.approx(of_plan[part], rel=0.05)
    end = sum(seconds[part] for part in ("writing", "finish", *OF_DRIVER))
    assert 0.3 * share * of_plan["writing"] < end < 2 * of_plan["writing"]
    assert amounts(large, "disk_bytes")["the run's folder when done"] == small.kept_disk_bytes
    assert amounts(large, "memory_bytes")["a node"] == small.memory.num_bytes
    assert small.kept_disk_bytes < amounts(large, "disk_bytes")["the run's folder at its peak"] <= small.disk.num_bytes


def test_more_files_like_those_given_are_more_of_their_bytes(recipe_path: Path) -> None:
    """A file of a tenth of the size, of which there are ten, is the same crawl."""
    recipe, probes = load_recipe(str(recipe_path)), [probe(1_000_000, 2.0, {})]
    given = InputFile("a", "a", 10**9)
    crawls = (LargeCrawl.parse("100", [given.num_bytes]), LargeCrawl.parse("1000", [given.num_bytes // 10]))
    found = [reckon_scale(recipe, probes, crawl, CLUSTER, PRICES, 1.0) for crawl in crawls]
    assert found[0].documents == found[1].documents
    assert found[0].seconds[1:3] == found[1].seconds[1:3]


@pytest.mark.slow
def test_the_command_plans_a_snapshot_from_one_file(recipe_path: Path, tmp_path: Path) -> None:
    made = Crawl()
    for i in range(30):
        made.page(f"https://a.example/{i}", article(f"Page {i}", sentences(i)))
    file = made.write(tmp_path / "crawl" / "a.warc.gz")
    paths = ("--set", f"source.paths={file}", "--workers", "1")
    cluster = ("--nodes", "20", "--cores", "32", "--node-memory", "128GB", "--price", "1.2", "--network", "25Gbit")
    done = gristmill("plan", recipe_path, *paths, "--scale", "snapshot", *cluster, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["crawl"]["num_bytes"] == 90 * 10**12
    assert told["cluster"] | {"nodes": 20, "cores": 32, "network": 25e9 / 8, "in_store": True} == told["cluster"]
    assert all(figure["assumption"] for group in GROUPS for figure in told[group])
    assert told["total_seconds"] == pytest.approx(sum(figure["amount"] for figure in told["seconds"]))
    assert told["total_dollars"] == pytest.approx(sum(figure["amount"] for figure in told["dollars"]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--nodes", "2"), "--nodes: is for --scale; give --scale snapshot, too"),
        (("--price", "2"), "--price: is for --scale"),
        (("--scale", "many"), "--scale many: expected snapshot, a number of files, or a size as 90TB"),
        (("--scale", "snapshot"), "--scale: needs files to measure; give one or some: gristmill plan RECIPE FILE"),
        (("--scale", "9", "--node-memory", "8GB", "--memory", "9GB"), "--memory 9GB: a node has 8.0 GB; give less"),
        (("--scale", "9", "--node-memory", "much"), "--node-memory much: expected a size as 128GB"),
    ],
)
def test_what_cannot_be_planned_is_refused(recipe_path: Path, words: tuple[str, ...], message: str) -> None:
    done = gristmill("plan", recipe_path, *words, columns=200)
    assert done.returncode == 2
    assert message in done.stderr
    assert not done.stdout


@pytest.mark.parametrize("option", ["--days", "--price", "--core-speed"])
def test_figures_that_are_no_numbers_are_refused(recipe_path: Path, option: str) -> None:
    done = gristmill("plan", recipe_path, "--scale", "10", option, "inf")
    assert (done.returncode, done.stderr) == (2, f"gristmill: {option} inf: expected a number\n")
