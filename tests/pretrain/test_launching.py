"""Nothing in the launch of a step waits for the device, and nothing in it is compiled twice."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pretrain.config import DeviceConfig, load_config
from pretrain.evaluate import bits_per_byte, choose_held_out
from pretrain.model import Model
from pretrain.optim import make_optimizer
from pretrain.order.groups import Groups
from pretrain.order.loader import Loader
from pretrain.order.plan import Plan, held_out_documents, make_plan
from pretrain.parallel import SpreadModel, spread_model
from pretrain.ranks import Ranks
from pretrain.step import Steps

# Operations whose result the host must know: the value of a scalar, or how many elements there are.
WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "is_nonzero", "equal", "repeat_interleave")


class Operations(TorchDispatchMode):
    """Counts operations by name."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))

    @property
    def waiting(self) -> list[str]:
        return [name for name in self.counts if name.lstrip("_").startswith(tuple(w.lstrip("_") for w in WAITING))]


def made(plan: Plan, num_rows: int, **device: Any) -> tuple[Steps, Loader, SpreadModel]:
    torch.manual_seed(0)
    model = Model(plan.config.model, plan.vocab_size)
    spread = spread_model(model, DeviceConfig(kind="cpu", **device), Ranks(), torch.device("cpu"))
    groups, optimizer = Groups.of(plan.sources), make_optimizer(model, plan.config.optimizer)
    return Steps(spread, optimizer, plan.config, groups, Ranks(), num_rows), Loader(plan, groups=groups), spread


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_a_launch_asks_the_device_for_nothing(
    train_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    plan = make_plan(load_config(train_file(optimizer={"kind": kind}), {}))
    steps, loader, _ = made(plan, num_rows=2)
    steps.read(steps.launch(loader.batch(0), 1))
    for name in ("tolist", "item", "cpu", "numpy", "__bool__", "__float__", "__int__"):
        monkeypatch.setattr(torch.Tensor, name, lambda *_: pytest.fail("waits for the device"))
    with Operations() as operations:
        launched = [steps.launch(loader.batch(step - 1), step) for step in (2, 3)]
    monkeypatch.undo()
    assert operations.counts["_scaled_dot_product_flash_attention_for_cpu_backward"] > 2, "it looks into the step"
    assert not operations.waiting
    with Operations() as operations:
        launched[0].figures.sum().item()
    assert operations.waiting == ["_local_scalar_dense"], "it would have seen one"
    assert [steps.read(one).step for one in launched] == [2, 3]


@pytest.mark.slow
def test_each_block_is_compiled_once_for_training_and_once_for_evaluation(train_file: Callable[..., Path]) -> None:
    plan = make_plan(load_config(train_file(), {}))
    steps, loader, spread = made(plan, num_rows=2, compile=True)
    held_out = [choose_held_out(name, docs, 64, 2000) for name, docs in held_out_documents(plan).items()]

    def train_and_evaluate(first: int) -> None:
        for step in range(first, first + 3):
            steps.read(steps.launch(loader.batch(step - 1), step))
        bits_per_byte(spread, held_out, 2, Ranks())

    torch._dynamo.utils.counters.clear()
    train_and_evaluate(1)
    warm = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert warm > 0
    with torch._dynamo.config.patch(error_on_recompile=True):
        train_and_evaluate(4)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == warm
