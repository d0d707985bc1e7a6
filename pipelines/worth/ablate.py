"""`gristmill ablate`: train the same small model on several sides, and say whether their scores differ.

    sides ──▶ token folders ──▶ SIDE × SEED trainings ──▶ loss of each held-out document ──▶ effects with intervals

    OUT/ablation.json      what was asked, scores, effects; written last, with ablation.html
        trainings/<side>/seed-<n>/    train.toml, checkpoint, metrics
        scores/<side>/seed-<n>.arrow  set, document, bytes and nats

At a size that a laptop trains, seeds differ by more than most cleaning does. So everything else is equal or averaged:
one seed gives all sides the same initial weights and the same order law, the tokenizer is learned from all sides alike,
the learning rate falls to zero, weights are averaged over the last steps, and documents are paired. Sides that are
the same tokens get other seeds, since they would be the same training.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tomli_w
import xxhash

from pipelines.numbers import counted
from pipelines.worth.effects import Effect, Scores, expected_smallest, joined
from pipelines.worth.token_sides import EVALUATION, HeldOutSet, TokenSides
from pretrain.document_losses import document_nats
from pretrain.metrics import METRICS, read_records
from pretrain.presets import batch_rows, layer_parameters, peak_lr
from pretrain.train import train_model
from pretrain.trained_model import load_trained
from shards.atomic import write_bytes, write_json
from shards.errors import UserError
from shards.sink import ArrowSink, read_table

RESULT = "ablation.json"
NEUTRAL = "neutral"  # the set of all that is held out of sides, each side's with equal weight
MAX_EPOCHS = 4.0  # of the smallest side (Muennighoff et al., "Scaling Data-Constrained Language Models", 2023)
SCORED_TOKENS = 100_000  # of a set, at most
_SOURCE = "text"  # of every side's training: the order law depends on the name
_PILOT_STEPS, _WARM_STEPS = 10, 3
_OTHER_SEEDS = 1000  # between the seeds of sides that are the same tokens

# Bits per byte, of the 1m preset: the deviation from seed to seed of a difference of two sides, after some million
# tokens, and the standard error that a hundred thousand held-out tokens bring (`docs/worth.md`).
EXPECTED_DEVIATION, EXPECTED_ERROR = 0.03, 0.006

Say = Callable[[str], None]


@dataclass(frozen=True)
class Law:
    """What all trainings of an ablation have in common."""

    model: dict[str, Any]  # the table of TRAIN.toml, with all widths
    tokens: int
    num_seeds: int
    sequence_length: int = 256
    batch_size: int = 8
    lr: float = 3e-3

    def ruled(self) -> "Law":
        """The same with batch and learning rate by the rules of `pretrain.presets` for its tokens."""
        flops = 6.0 * layer_parameters(self.model) * self.tokens
        return replace(self, batch_size=batch_rows(flops, self.sequence_length), lr=peak_lr(flops))

    @property
    def steps(self) -> int:
        return max(1, -(-self.tokens // (self.sequence_length * self.batch_size)))

    @property
    def trained_tokens(self) -> int:
        """`tokens` in whole steps."""
        return self.steps * self.batch_size * self.sequence_length

    def settings(self, tokens: Path, out: Path, seed: int, steps: int | None = None) -> dict[str, Any]:
        """TRAIN.toml of one training."""
        steps = steps or self.steps
        return {
            "out": str(out.resolve()),
            "steps": steps,
            "sequence_length": self.sequence_length,
            "batch_size": self.batch_size,
            "seed": seed,
            "model": self.model,
            "optimizer": {
                "lr": self.lr,
                "schedule": "wsd",
                "decay_fraction": 0.4,
                "min_lr_fraction": 0.0,
                "warmup_steps": min(100, max(1, steps // 20)),
                "ema": max(0.0, 1 - 20 / steps),  # averages the last twentieth
            },
            "checkpoint": {"every": steps, "keep_last": 1},
            "evaluate": {"max_tokens": 1},
            "monitor": {"report": False},
            "source": {_SOURCE: {"tokens": str(tokens.resolve()), "max_epochs": MAX_EPOCHS}},
        }


@dataclass(frozen=True)
class Ablation:
    """The result."""

    law: Law
    sides: dict[str, int]  # tokens of an epoch
    seeds: dict[str, list[int]]
    sets: dict[str, Scores]  # NEUTRAL first, then each set
    num_documents: dict[str, int]  # by set
    effects: dict[str, list[Effect]]  # by set

    @property
    def headline(self) -> str:
        """The set that decides: evaluation texts, where some are given, and otherwise what is held out of all sides."""
        return next((name for name in self.sets if name.startswith(EVALUATION)), NEUTRAL)


def plan_lines(sides: TokenSides, law: Law, step_seconds: float | None) -> list[str]:
    """What will be done and what it can show, for people, before it starts."""
    count = len(sides.train) * law.num_seeds
    time = f", about {count * law.steps * step_seconds / 60:.0f} minutes" if step_seconds else ""
    lines = [f"{counted(count, 'training')} of {counted(law.steps, 'step')}, {law.trained_tokens:,} tokens each{time}"]
    smallest = expected_smallest(
        EXPECTED_DEVIATION, EXPECTED_ERROR, num_sides=len(sides.train), num_seeds=law.num_seeds
    )
    if np.isfinite(smallest):
        lines.append(
            f"the smallest effect that this can show, four times of five, is about {smallest:.3f} bits per byte, if "
            f"seeds spread as they did for the 1m preset ({EXPECTED_DEVIATION:g}); more seeds show smaller ones"
        )
    else:
        lines.append("one seed shows no effect at all: nothing tells what another seed would have given")
    return lines


def fit_to_budget(
    sides: TokenSides, law: Law, minutes: float, out: Path, progress: Callable[[Any], None]
) -> tuple[Law, float]:
    """(the law with as many tokens as all trainings take in so many minutes, seconds of a step on the first side).

    A tenth is left for scoring. No side is seen more than MAX_EPOCHS times.
    """
    seconds = step_seconds(sides, law, out, progress)
    steps = int(0.9 * minutes * 60 / seconds / (len(sides.train) * law.num_seeds))
    if steps < 20:
        raise UserError(
            f"--budget {minutes:g}: is enough for {counted(steps, 'step')} of {seconds:.2f} s in each training; "
            "give more minutes, fewer seeds or a smaller model"
        )
    tokens = min(steps * law.batch_size * law.sequence_length, most_tokens(sides))
    fitted = replace(law, tokens=tokens).ruled()
    return fitted, seconds * fitted.batch_size / law.batch_size


def step_seconds(sides: TokenSides, law: Law, out: Path, progress: Callable[[Any], None]) -> float:
    """Seconds of a step of the model on this machine, the median of a few on the first side."""
    folder = out / "pilot"
    side = next(iter(sides.train))
    _train(law.settings(sides.train[side], folder, 0, _PILOT_STEPS), out / "pilot.toml", progress)
    records = read_records(folder / METRICS)
    return float(np.median([record["seconds"] for record in records][_WARM_STEPS:]))


def most_tokens(sides: TokenSides) -> int:
    """Tokens of MAX_EPOCHS of the smallest side, less a fiftieth for rows that are not full."""
    return int(MAX_EPOCHS * 0.98 * min(map(sides.num_tokens, sides.train)))


def ablate(sides: TokenSides, law: Law, out: Path, say: Say, progress: Callable[[Any], None]) -> Ablation:
    """Train and score all sides, or what of it is missing in `out`, and write ablation.json there.

    UserError for fewer than two sides, for sides that lack tokens, and for a folder that holds another ablation.
    """
    _require(sides, law)
    _claim(out, sides, law)
    seeds = _seeds(sides, law.num_seeds)
    scored = {one.name: _chosen(one) for one in sides.sets}
    losses: dict[str, list[dict[str, np.ndarray]]] = {side: [] for side in sides.train}
    for number in range(law.num_seeds):  # so that a part of an ablation has all sides
        for side, folder in sides.train.items():
            seed = seeds[side][number]
            name = f"{side}/seed-{seed}"
            model, path = out / "trainings" / name, out / "scores" / f"{name}.arrow"
            if not path.exists():
                _train(law.settings(folder, model, seed), out / "trainings" / f"{name}.toml", progress)
                _score(model, sides.sets, scored, path)
            losses[side].append(_scores(path))
            say(f"{side}, seed {seed}: {_summary(losses[side][-1], sides.sets, scored)}")
    result = _result(sides, law, seeds, scored, losses)
    write_json(out / RESULT, figures(result))
    return result


def figures(result: Ablation) -> dict[str, Any]:
    """`ablation.json`."""
    return {
        "law": asdict(result.law) | {"steps": result.law.steps},
        "sides": result.sides,
        "seeds": result.seeds,
        "headline": result.headline,
        "documents": result.num_documents,
        "bits_per_byte": {
            name: dict(zip(scores.sides, scores.table.tolist(), strict=True)) for name, scores in result.sets.items()
        },
        "spread_of_seeds": {name: scores.spread[0] for name, scores in result.sets.items()},
        "effects": {
            name: [asdict(effect) | {"winner": effect.winner} for effect in effects]
            for name, effects in result.effects.items()
        },
    }


def _require(sides: TokenSides, law: Law) -> None:
    if len(sides.train) < 2:
        raise UserError("an ablation compares sides, and there is one; name a second one")
    wanted = law.trained_tokens
    for side in sides.train:
        tokens = sides.num_tokens(side)
        if wanted > MAX_EPOCHS * tokens:
            raise UserError(
                f"side {side}: has {tokens:,} tokens, and {wanted:,} would be {wanted / max(1, tokens):.1f} epochs of "
                f"it, more than {MAX_EPOCHS:g}; give --tokens {most_tokens(sides)} or less, or more text"
            )
    sides.check()


def _claim(out: Path, sides: TokenSides, law: Law) -> None:
    """UserError where `out` holds an ablation of other sides or settings; otherwise note those of this one."""
    identity = json.loads(json.dumps({"law": asdict(law), "texts": sides.digests()}))
    path = out / "identity.json"
    if path.exists() and json.loads(path.read_bytes()) != identity:
        raise UserError(f"{out}: holds an ablation of other texts or settings; choose another --out or delete it")
    write_json(path, identity)


def _seeds(sides: TokenSides, count: int) -> dict[str, list[int]]:
    """Equal seeds for all sides, but others for a side whose tokens are those of one before it."""
    digests = sides.digests()
    seen: list[str] = []
    seeds = {}
    for side in sides.train:
        first = _OTHER_SEEDS * seen.count(digests[side])
        seeds[side] = list(range(first, first + count))
        seen.append(digests[side])
    return seeds


def _train(settings: dict[str, Any], path: Path, progress: Callable[[Any], None]) -> None:
    write_bytes(path, tomli_w.dumps(settings).encode())
    logging.getLogger("pretrain.evaluate").setLevel(logging.ERROR)  # that a side holds nothing out: `_score` measures
    train_model(path, overrides={}, progress=progress)


def _chosen(one: HeldOutSet) -> np.ndarray:
    """Numbers of the documents to score: all with text, or some of SCORED_TOKENS, of the same pages in each set."""
    order = np.argsort([xxhash.xxh3_64_intdigest(key.encode()) for key in one.keys.tolist()], kind="stable")
    order = order[one.documents.num_bytes[order] > 0]
    end = 1 + int(np.searchsorted(np.cumsum(one.documents.num_tokens[order]), SCORED_TOKENS))
    chosen: np.ndarray = np.sort(order[:end])
    return chosen


def _score(model: Path, sets: Sequence[HeldOutSet], chosen: dict[str, np.ndarray], path: Path) -> None:
    """Write the loss of each document of all sets by a trained model."""
    trained = load_trained(model)
    parts = []
    for one in sets:
        numbers = chosen[one.name]
        nats, _ = document_nats(
            trained.spread,
            one.documents,
            numbers,
            row_length=trained.config.sequence_length,
            num_rows=trained.num_rows,
        )
        ids = one.documents.column("id").take(pa.array(numbers)).combine_chunks()
        columns = {
            "set": pa.array([one.name] * len(numbers), pa.string()),
            "id": ids,
            "num_bytes": pa.array(one.documents.num_bytes[numbers]),
            "nats": pa.array(nats),
        }
        parts.append(pa.RecordBatch.from_pydict(columns))
    with ArrowSink(path, parts[0].schema) as sink:
        for part in parts:
            sink.write(part)


def _scores(path: Path) -> dict[str, np.ndarray]:
    """Nats of the documents of each set."""
    table = read_table(path, ["set", "nats"])
    names, nats = np.array(table["set"].to_pylist()), table["nats"].to_numpy()
    return {name: nats[names == name] for name in dict.fromkeys(names.tolist())}


def _summary(nats: dict[str, np.ndarray], sets: Sequence[HeldOutSet], chosen: dict[str, np.ndarray]) -> str:
    return ", ".join(f"{one.name} {nats[one.name].sum() / _bits(one, chosen).sum():.4f}" for one in sets)


def _bits(one: HeldOutSet, chosen: dict[str, np.ndarray]) -> np.ndarray:
    """float64[documents]: what nats are divided by for bits per byte."""
    bits: np.ndarray = one.documents.num_bytes[chosen[one.name]] * np.log(2)
    return bits


def _result(
    sides: TokenSides,
    law: Law,
    seeds: dict[str, list[int]],
    chosen: dict[str, np.ndarray],
    losses: dict[str, list[dict[str, np.ndarray]]],
) -> Ablation:
    names = tuple(sides.train)
    sets = {
        one.name: Scores(
            names,
            np.array([[by_set[one.name] for by_set in losses[side]] for side in names]),
            _bits(one, chosen),
        )
        for one in sides.sets
    }
    of_sides = [one for one in sides.sets if one.of_side]
    if of_sides:
        keys = [one.keys[chosen[one.name]] for one in of_sides]
        sets = {NEUTRAL: joined([sets[one.name] for one in of_sides], keys)} | sets
    return Ablation(
        law=law,
        sides={side: sides.num_tokens(side) for side in names},
        seeds=seeds,
        sets=sets,
        num_documents={name: len(scores.weights) for name, scores in sets.items()},
        effects={name: list(scores.effects()) for name, scores in sets.items()},
    )
