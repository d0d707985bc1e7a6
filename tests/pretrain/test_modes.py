import gc

import pytest
import torch

from pretrain.modes import deterministic, quiet_collector


def test_the_collector_is_quiet_as_long_as_a_training_lasts() -> None:
    with quiet_collector():
        assert not gc.isenabled()
        assert gc.get_freeze_count() > 1000
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize("is_wanted", [True, False])
def test_kernels_are_deterministic_where_that_is_wanted(is_wanted: bool) -> None:
    with deterministic(is_wanted):
        assert torch.are_deterministic_algorithms_enabled() == is_wanted
    assert not torch.are_deterministic_algorithms_enabled()
