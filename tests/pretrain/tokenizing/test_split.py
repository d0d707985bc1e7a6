import numpy as np
import pyarrow as pa

from pretrain.tokenizing.split import is_held_out

IDS = pa.array([f"{i:032x}" for i in range(4000)])


def test_the_fraction_of_documents_is_held_out() -> None:
    assert not is_held_out(IDS, 0).any()
    assert 0.08 < is_held_out(IDS, 0.1).mean() < 0.12


def test_the_choice_follows_from_the_id_alone_and_grows_with_the_fraction() -> None:
    few, more = is_held_out(IDS, 0.1), is_held_out(IDS, 0.2)
    assert (few <= more).all()
    order = np.random.default_rng(0).permutation(len(IDS))
    assert (is_held_out(IDS.take(pa.array(order)), 0.1) == few[order]).all()
