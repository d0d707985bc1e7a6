"""The cluster, the crawl and the prices that `gristmill plan --scale` is given."""

from collections.abc import Callable

import pytest

from pipelines.preview.cluster import STORE_PRICES, Cluster, Crawl, Prices, parse_size
from shards.errors import UserError


@pytest.mark.parametrize(
    ("text", "files", "num_bytes"),
    [
        ("snapshot", 90_000, 90 * 10**12),
        ("3", 3, 45),
        ("90_000", 90_000, 90_000 * 15),
        ("90,000", 90_000, 90_000 * 15),
        ("3KB", 200, 3000),
        ("1.5MiB", 104_858, 3 << 19),
    ],
)
def test_a_crawl_is_a_snapshot_a_number_of_files_or_a_size(text: str, files: int, num_bytes: int) -> None:
    crawl = Crawl.parse(text, [10, 20])
    assert (crawl.files, crawl.num_bytes) == (files, num_bytes)
    assert crawl.assumption


def test_sizes_are_in_bytes_or_bits() -> None:
    sizes = ("128GB", "1.5 TiB", "10Gbit", "100 Gbit", "64G")
    found = [parse_size("--x", text, "a size") for text in sizes]
    assert found == [128 * 10**9, 3 << 39, 1_250_000_000, 12_500_000_000, 64 * 10**9]


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (lambda: Crawl.parse("0", [1]), "--scale 0: expected snapshot, a number of files, or a size as 90TB"),
        (lambda: Crawl.parse("all", [1]), "--scale all: expected snapshot"),
        (
            lambda: Crawl.parse("snapshot", [1], ["warc", "wet"]),
            "--scale snapshot: is of WARC files, and a source is of",
        ),
        (lambda: parse_size("--network", "10", "bits a second"), "--network 10: expected bits a second"),
        (lambda: parse_size("--network", "0Gbit", "bits a second"), "--network 0Gbit"),
        (lambda: Prices.parse(None, "1,2", 30), "--store-prices 1,2: expected dollars for 1,000 PUTs"),
        (lambda: Prices.parse(None, "a,b,c", 30), "--store-prices a,b,c"),
        (lambda: Prices.parse(None, "1,nan,-2", 30), "--store-prices 1,nan,-2"),
    ],
)
def test_what_is_no_crawl_size_or_price_is_refused(refused: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        refused()
    assert "\n" not in str(error.value)


def test_prices_of_requests_are_for_one() -> None:
    prices = Prices.parse(1.2, STORE_PRICES, 7)
    assert (prices.put, prices.get, prices.gb_month) == pytest.approx((5e-6, 4e-7, 0.023))
    assert (prices.node_hour, prices.days) == (1.2, 7)


def test_a_task_gets_its_part_of_a_nodes_memory_for_deduplication() -> None:
    def task_memory(cores: int, memory: int) -> int:
        return Cluster(1, cores, 2 * memory, 1e9, 1.0, in_store=False, memory=memory).task_memory

    assert task_memory(64, 64 * 10**9) < task_memory(32, 64 * 10**9) < task_memory(32, 128 * 10**9)
