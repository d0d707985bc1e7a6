"""Blend: from the settings of a mixture to the weights of its sources, phase by phase.

    weights        a table: the `weight` of each source
    proportional   by size
    temperature    by size^(1 / temperature), which lifts small sources (Xue et al., "mT5", 2021, section 3.1)
    unimax         as even as `max_epochs` of each source allows (Chung et al., "UniMax", 2023)

Stages change the weights at a place of the training, at once or along a line, which is cut into `PIECES`.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from pretrain.config import MixtureStage, TrainConfig
from pretrain.order.mixture import Phase
from shards.errors import UserError

PIECES = 32  # of a linear change, each with one set of weights; a cut costs at most a row of each source


def blend(config: TrainConfig, num_rows: Sequence[int]) -> tuple[Phase, ...]:
    """The phases of the training order; `num_rows` is that of an epoch of each source, in their order.

    UserError for weights that are all zero, for a stage that names no source of ours, begins after the training ends or
    not after the one before, and for weights beside another policy.
    """
    names = list(config.source)
    phases = [Phase(0, _base_weights(config, num_rows))]
    for number, stage in enumerate(config.mixture.stage):
        where = f"mixture.stage.{number}"
        if unknown := sorted(stage.weights.keys() - set(names)):
            raise UserError(f"{where}: weight of the unknown source {unknown[0]}; known are {', '.join(names)}")
        weights = _normal(tuple(stage.weights.get(name, 0.0) for name in names), where)
        begin, end = (_place(config, tokens) for tokens in (stage.from_tokens, _end(stage, where)))
        if begin < phases[-1].first or (begin == phases[-1].first and begin > 0):
            raise UserError(f"{where}: begins before the one before it is complete; order stages by from_tokens")
        if begin >= config.steps * config.batch_size:
            raise UserError(f"{where}: begins after the last step; lower its from_tokens or raise steps")
        before = phases[-1].weights
        if begin == 0:
            phases.pop()
        phases += [*_line(begin, end, before, weights, config.batch_size), Phase(end, weights)]
    return tuple(phases)


def unimax(num_rows: Sequence[int], max_epochs: Sequence[float], num_places: int) -> tuple[float, ...]:
    """Places of each source: equal ones, but no more than its maximum, which gives the others more.

    They sum to less than `num_places` where all sources reach their maximum.
    """
    most = [epochs * rows for epochs, rows in zip(max_epochs, num_rows, strict=True)]
    places, left = [0.0] * len(most), float(num_places)
    smallest_first = sorted(range(len(most)), key=lambda i: most[i])
    for taken, i in enumerate(smallest_first):
        places[i] = min(most[i], left / (len(most) - taken))
        left -= places[i]
    return tuple(places)


def _base_weights(config: TrainConfig, num_rows: Sequence[int]) -> tuple[float, ...]:
    policy, sources = config.mixture.policy, config.source
    if policy == "weights":
        return _normal(tuple(source.weight for source in sources.values()), "the weights of all sources")
    for name, source in sources.items():
        if source.weight != 1:
            raise UserError(
                f'source {name}: has a weight, and mixture.policy = "{policy}" follows from sizes; remove one of them'
            )
    if policy == "unimax":
        places = unimax(num_rows, [source.max_epochs for source in sources.values()], config.steps * config.batch_size)
        return _normal(places, "the sources")
    power = 1.0 if policy == "proportional" else 1 / config.mixture.temperature
    return _normal(tuple(float(rows) ** power for rows in num_rows), "the sources")


def _normal(weights: tuple[float, ...], where: str) -> tuple[float, ...]:
    """The weights as fractions of their sum."""
    total = sum(weights)
    if not total:
        raise UserError(f"{where}: weights are all zero; give one source a weight above 0")
    return tuple(weight / total for weight in weights)


def _end(stage: MixtureStage, where: str) -> int:
    """Tokens at which the stage's weights are reached."""
    if stage.change == "step":
        if stage.to_tokens is not None:
            raise UserError(f'{where}: to_tokens is the end of a linear change; set change = "linear" or leave it out')
        return stage.from_tokens
    if stage.to_tokens is None or stage.to_tokens <= stage.from_tokens:
        raise UserError(f"{where}: a linear change needs to_tokens above from_tokens")
    return stage.to_tokens


def _place(config: TrainConfig, tokens: int) -> int:
    """The place after so many tokens, to the nearest whole step."""
    return round(tokens / (config.batch_size * config.sequence_length)) * config.batch_size


def _line(begin: int, end: int, before: tuple[float, ...], after: tuple[float, ...], batch_size: int) -> list[Phase]:
    """The phases of a linear change from place `begin` to `end`: whole steps, each with the weights of its middle."""
    firsts = np.unique(np.linspace(begin, end, PIECES + 1).astype(np.int64) // batch_size * batch_size).tolist()
    phases = []
    for first, following in pairwise(firsts):
        done = ((first + following) / 2 - begin) / (end - begin)
        phases.append(Phase(first, tuple(a + (b - a) * done for a, b in zip(before, after, strict=True))))
    return phases


def continued(
    old: Sequence[tuple[int, Mapping[str, float]]], new: Sequence[Phase], names: Sequence[str], place: int
) -> tuple[Phase, ...]:
    """The phases of a training whose first `place` places went by `old`, and whose others go by `new`.

    `old` is (first place, weights by source). Where the weights at `place` stay as they were, their phase goes on, so
    that a training that is prolonged has the order of one that was as long from the beginning.
    """
    kept = [Phase(first, tuple(weights.get(name, 0.0) for name in names)) for first, weights in old if first < place]
    at = max(i for i, phase in enumerate(new) if phase.first <= place)
    goes_on = bool(kept) and new[at].weights == kept[-1].weights
    begun = [] if goes_on else [Phase(place, new[at].weights)]
    return (*kept, *begun, *new[at + 1 :])
