from tiny_model import make_model

from pretrain.config import OptimizerConfig
from pretrain.optim import make_optimizer


def test_weight_decay_is_for_matrices_only() -> None:
    model = make_model()
    decayed, kept = make_optimizer(model, OptimizerConfig(weight_decay=0.3)).param_groups
    assert {p.ndim for p in decayed["params"]} == {2}
    assert {p.ndim for p in kept["params"]} == {1}
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.3, 0)
    assert len(decayed["params"]) + len(kept["params"]) == len(list(model.parameters()))
