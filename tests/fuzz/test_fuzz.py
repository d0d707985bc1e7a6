"""The bounded form of `make fuzz`: kept inputs, and some mutated ones of every target."""

import random

import pytest
from fuzz.mutations import mutated
from fuzz.run import hunt
from fuzz.targets import IN_ARROW, TARGETS, kept_inputs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize("name", [name for name in TARGETS if name not in IN_ARROW])
def test_no_kept_or_mutated_input_breaks_its_target(name: str) -> None:
    target = TARGETS[name]
    seeds = target.seeds()
    for data in (*seeds, *kept_inputs(name)):
        target.read(data)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(seeds), st.randoms(use_true_random=False))
    def mutate(data: bytes, draw: random.Random) -> None:
        target.read(mutated(data, seeds, draw))

    mutate()


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_ARROW)
def test_a_changed_arrow_file_is_an_error_and_no_endless_loop(name: str) -> None:
    found = hunt(name, 100, seed=1)
    assert found.tried == 100
    assert found.broken == found.hung == []
