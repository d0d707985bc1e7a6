from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pretrain.config import load_config
from pretrain.order.ledger import epoch_ledger, num_epochs
from pretrain.order.plan import make_plan

# Brown et al., "Language Models are Few-Shot Learners", 2020, table 2.2: tokens in billions, weight as printed (the
# printed weights sum to 1.01), and the epochs of 300 billion tokens that the paper itself states.
GPT3 = {
    "Common Crawl": (410, 0.60, 0.44),
    "WebText2": (19, 0.22, 2.9),
    "Books1": (12, 0.08, 1.9),
    "Books2": (55, 0.08, 0.43),
    "Wikipedia": (3, 0.03, 3.4),
}


def test_epochs_of_gpt3_follow_from_its_weights_as_printed() -> None:
    epochs = {name: num_epochs(tokens, weight, 300) for name, (tokens, weight, _) in GPT3.items()}
    assert [round(value, 2) for value in epochs.values()] == [0.44, 3.47, 2.0, 0.44, 3.0]
    of_the_paper = {name: stated for name, (_, _, stated) in GPT3.items()}
    differing = {name for name in GPT3 if abs(epochs[name] / of_the_paper[name] - 1) > 0.04}
    assert differing == {"WebText2", "Books1", "Wikipedia"}, "its weights are rounded, and its epochs are not theirs"


def test_the_ledger_is_what_counting_places_gives(train_file: Callable[..., Path]) -> None:
    stage = {"from_tokens": 20 * 4 * 64, "weights": {"ru": 1}}
    path = train_file(steps=120, mixture={"stage": [stage]})
    plan = make_plan(load_config(path, {}), check=False)
    source, _, _ = plan.mixture.sample(np.arange(plan.num_places))
    for s, line in enumerate(epoch_ledger(plan)):
        used = np.cumsum(source == s)
        num_rows = plan.sources[s].num_rows
        assert line.source == plan.sources[s].name
        assert line.epochs == pytest.approx(used[-1] / num_rows)
        assert line.share == pytest.approx(used[-1] / plan.num_places)
        assert line.num_trained_tokens == used[-1] * 64
        for k, tokens in line.passes.items():
            reached = np.flatnonzero(used >= k * num_rows)
            assert tokens == (None if not len(reached) else (reached[0] + 1) * 64)
