"""A store in which a fifth of all calls goes wrong, in every way at once, costs time and no byte."""

from pathlib import Path

import pytest
from command import gristmill
from fault_runs import KILLS
from fault_runs import Faults as Counts
from s3_server import Faults, Proxy

WAYS = ("busy", "slow", "cut", "unanswered", "unanswered_if")


@pytest.mark.slow
@pytest.mark.skipif(not KILLS, reason="`make test-faults` runs it")
def test_a_store_that_fails_a_fifth_of_the_calls_is_slow_cuts_bodies_and_lists_late(
    s3: Proxy, recipe: Path, undisturbed: dict[str, str], faults: Counts
) -> None:
    s3.faults = Faults(busy=0.2, slow=0.2, delay_s=0.1, cut=0.2, unanswered=0.2, unanswered_if=0.2, late_s=10)
    done = gristmill("run", recipe, "--out", s3.folder, "--workers", "2")
    assert done.returncode == 0, done.stderr
    s3.faults = Faults()
    for way in WAYS:
        faults.add(f"store: {way.replace('_', ' ')} (20 % of such calls)", s3.injected[way])
    assert min(s3.injected[way] for way in WAYS[:4]) > 0
    faults.end(s3.folder, undisturbed)
