"""`gristmill scaling`: a grid of small trainings within a budget, the law that fits them, and what it predicts.

OUT/plan.json            sizes and tokens, chosen by the speed of each size on this machine
    trainings/<N>-<D>/   of N parameters of the layers and D tokens
    grid.json            parameters, tokens and held-out bits per byte of each; `scaling fit` takes it
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from pipelines.lines import Line, Table
from pipelines.numbers import counted, number
from pipelines.worth.ablate import MAX_EPOCHS
from pipelines.worth.ablate import Law as TrainingLaw
from pretrain.metrics import METRICS, read_records
from pretrain.presets import layer_parameters
from pretrain.scaling_law import FLOPS, Fit, Law, fit, without_largest
from pretrain.train import train_model
from shards.atomic import write_bytes, write_json
from shards.errors import UserError
from shards.token_manifest import read_token_manifest
from shards.tokens import TRAIN

GRID, PLAN = "grid.json", "plan.json"
EVALUATED_TOKENS = 100_000  # held-out, of each training
_LENGTHS = (1, 2, 4, 8)  # tokens of a size's trainings, as multiples of the shortest
_PILOT_STEPS, _WARM_STEPS = 8, 3
_MIN_STEPS = 30  # of the shortest training
# Width and layers: each has some 2.5 times the parameters of the one before, at the aspect ratios of the presets.
_SIZES = ((32, 2), (48, 2), (64, 3), (96, 3))


@dataclass(frozen=True)
class Training:
    """A training of a grid."""

    parameters: int  # of the layers
    tokens: int
    loss: float  # held-out bits per byte


def models(sizes: Sequence[tuple[int, int]] = _SIZES) -> list[dict[str, Any]]:
    """The models of a grid, from the smallest on."""
    return [
        {
            "width": width,
            "num_layers": layers,
            "num_heads": width // 16,
            "num_kv_heads": width // 16,
            "feed_forward_width": 8 * width // 3 // 8 * 8,
            "qk_norm": True,
            "tied_embeddings": True,
        }
        for width, layers in sizes
    ]


def run_grid(tokens: Path, out: Path, minutes: float, say: Callable[[str], None]) -> list[Training]:
    """Train a grid on a token folder in about so many minutes, or what of it is missing in `out`; write grid.json.

    UserError for a folder that holds nothing out, for a budget that is too small, and for an `out` of other tokens.
    """
    manifest = read_token_manifest(tokens)
    num_tokens = sum(shard.files[TRAIN].num_epoch_tokens for shard in manifest.shards.values())
    if not any(file.num_rows for shard in manifest.shards.values() for s, file in shard.files.items() if s != TRAIN):
        raise UserError(f"{tokens}: no text of it is held out, so nothing is measured; tokenize with --held-out")
    family = {layer_parameters(model): model for model in models()}
    lengths = _planned(tokens, out, manifest.digest(TRAIN), family, minutes, num_tokens)
    say(
        f"{counted(len(family) * len(lengths), 'training')}: {len(family)} sizes of {min(family):,} to {max(family):,} "
        f"parameters, {min(lengths):,} to {max(lengths):,} tokens"
    )
    grid = []
    for length in lengths:
        for parameters, model in family.items():
            folder = out / "trainings" / f"{parameters}-{length}"
            law = TrainingLaw(model, length, 1).ruled()
            settings = law.settings(tokens, folder, seed=0) | {"evaluate": {"max_tokens": EVALUATED_TOKENS}}
            losses = _train(settings, folder)
            grid.append(Training(parameters, law.trained_tokens, losses))
            say(f"{parameters:,} parameters, {law.trained_tokens:,} tokens: {losses:.4f} bits per byte")
    write_json(out / GRID, [asdict(training) for training in grid])
    return grid


def read_grid(path: Path) -> list[Training]:
    """The trainings of a grid's folder or file. UserError for what is no list of them."""
    file = path / GRID if path.is_dir() else path
    try:
        grid = [
            Training(int(t["parameters"]), int(t["tokens"]), float(t["loss"])) for t in json.loads(file.read_bytes())
        ]
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}; make one with `gristmill scaling run`") from None
    except (ValueError, LookupError, TypeError):
        grid = []
    if not grid or not all(t.parameters > 0 and t.tokens > 0 and 0 < t.loss < np.inf for t in grid):
        raise UserError(f"{file}: expected a list of tables with parameters, tokens and loss, all above zero")
    return grid


def fitted(grid: Sequence[Training]) -> Fit:
    """The law of a grid."""
    return fit(*_arrays(grid))


def fit_lines(grid: Sequence[Training]) -> Iterator[Line]:
    """The law with intervals, and the largest training beside what the others predict of it."""
    found = fitted(grid)
    names = ("E", "A", "B", "alpha", "beta")
    rows = []
    for name in names:
        low, high = found.interval(attrgetter(name))
        rows.append((name, number(getattr(found.law, name)), f"{number(low)} to {number(high)}"))
    yield "loss = E + A / parameters^alpha + B / tokens^beta"
    yield Table(("", "fitted", "95% interval"), tuple(rows), numbers=True)
    yield f"residual {100 * found.residual:.2f} % of the loss, over {counted(len(grid), 'training')}"
    try:
        largest, of_others = without_largest(*_arrays(grid))
    except UserError as error:
        yield f"the largest training is not left out and predicted: without it {error}"
        return
    one = grid[largest]
    low, high = of_others.interval(lambda law: float(law.loss(one.parameters, one.tokens)), noise=True)
    predicted = float(of_others.law.loss(one.parameters, one.tokens))
    verdict = "within" if low <= one.loss <= high else "outside"
    yield (
        f"the largest training, {one.parameters:,} parameters and {one.tokens:,} tokens, has {one.loss:.4f}; the "
        f"others predict {predicted:.4f}, 95% interval {low:.4f} to {high:.4f}: {verdict}"
    )


def predict_lines(
    grid: Sequence[Training], *, parameters: float | None, tokens: float | None, flops: float | None
) -> Iterator[Line]:
    """The loss of a size and number of tokens, or of the best size for a number of operations."""
    found = fitted(grid)
    if flops is not None:
        parameters, tokens = found.law.best_size(flops)
        low, high = found.interval(lambda law: law.best_size(flops)[0])
        yield (
            f"of {flops:.3g} operations, the loss is least at {_round(parameters)} parameters of the layers, 95% "
            f"interval {_round(low)} to {_round(high)}, and {_round(tokens)} tokens"
        )
    assert parameters is not None
    assert tokens is not None
    low, high = found.interval(lambda law: _loss(law, parameters, tokens), noise=True)
    yield (
        f"{_round(parameters)} parameters, {_round(tokens)} tokens, {FLOPS * parameters * tokens:.3g} operations: "
        f"{_loss(found.law, parameters, tokens):.4f}, 95% interval {low:.4f} to {high:.4f}"
    )
    factor = parameters * tokens / max(one.parameters * one.tokens for one in grid)
    if factor > 1:
        yield f"this is {factor:,.3g} times the operations of the largest training that was fitted: an extrapolation"


def _planned(
    tokens: Path, out: Path, digest: str, family: dict[int, dict[str, Any]], minutes: float, num_tokens: int
) -> list[int]:
    """Tokens of the trainings of each size: those that were planned in `out`, or what the budget allows."""
    path = out / PLAN
    if path.exists():
        plan = json.loads(path.read_bytes())
        if plan["tokens"] != digest or plan["minutes"] != minutes:
            raise UserError(f"{out}: holds a grid of other tokens or another budget; choose another --out or delete it")
        lengths: list[int] = plan["lengths"]
        return lengths
    law = TrainingLaw(next(iter(family.values())), 1_000_000, 1).ruled()
    seconds = 0.0  # of a token in each of the sizes
    for parameters, model in family.items():
        folder = out / "pilot" / str(parameters)
        own = TrainingLaw(model, 1, 1, batch_size=law.batch_size)
        _train(own.settings(tokens, folder, 0, _PILOT_STEPS), folder)
        steps = [record["seconds"] for record in read_records(folder / METRICS)]
        seconds += float(np.median(steps[_WARM_STEPS:])) / (own.batch_size * own.sequence_length)
    shortest = int(0.9 * 60 * minutes / seconds / sum(_LENGTHS))
    shortest = min(shortest, int(0.98 * MAX_EPOCHS * num_tokens / max(_LENGTHS)))
    row = law.sequence_length
    if shortest < _MIN_STEPS * row * 8:
        raise UserError(
            f"--budget {minutes:g}: is enough for trainings of {shortest:,} tokens, which is too few to fit; give more "
            "minutes or more text"
        )
    lengths = [factor * shortest // row * row for factor in _LENGTHS]
    write_json(path, {"tokens": digest, "minutes": minutes, "lengths": lengths})
    return lengths


def _train(settings: dict[str, Any], folder: Path) -> float:
    """Held-out bits per byte of a training, which is made unless it is finished."""
    path = folder.with_name(f"{folder.name}.toml")
    write_bytes(path, tomli_w.dumps(settings).encode())
    summary = train_model(path, overrides={}, progress=lambda record: None)
    return next(iter(summary.held_out_after.values()))


def _arrays(grid: Sequence[Training]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parameters, tokens, losses = zip(*((one.parameters, one.tokens, one.loss) for one in grid), strict=True)
    return np.array(parameters, float), np.array(tokens, float), np.array(losses)


def _loss(law: Law, parameters: float, tokens: float) -> float:
    return float(law.loss(parameters, tokens))


def _round(value: float) -> str:
    """Three significant digits, "1,230,000"."""
    return f"{float(f'{value:.3g}'):,.0f}"
