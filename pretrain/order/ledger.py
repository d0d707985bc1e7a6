"""The epoch ledger of a training: how much of each source it uses, and when it begins to repeat it."""

from bisect import bisect_left
from dataclasses import dataclass

from pretrain.order.plan import Plan

PASSES = (1, 2, 4)  # epochs; up to four are nearly as good as new data (Muennighoff et al., 2023)


@dataclass(frozen=True)
class EpochLine:
    """The use of a source."""

    source: str
    num_tokens: int  # predictions in an epoch
    share: float  # of the training's rows
    num_trained_tokens: int  # places of its rows, unfilled ends included
    epochs: float  # at the end
    passes: dict[int, int | None]  # by number of epochs: the training's tokens after which it has them; None: never


def num_epochs(num_tokens: float, weight: float, num_trained_tokens: float) -> float:
    """Epochs of a source of `num_tokens` that has the fraction `weight` of a training."""
    return weight * num_trained_tokens / num_tokens


def epoch_ledger(plan: Plan) -> list[EpochLine]:
    """A line for each source, in their order."""
    T, end = plan.config.sequence_length, plan.num_places
    lines = []
    for s, (source, count) in enumerate(zip(plan.sources, plan.mixture.counts(end).tolist(), strict=True)):
        passes = {k: _place_of(plan, s, k * source.num_rows) for k in PASSES}
        tokens_at = {k: None if place is None else place * T for k, place in passes.items()}
        epochs = count / source.num_rows
        lines.append(EpochLine(source.name, source.num_epoch_tokens, count / end, count * T, epochs, tokens_at))
    return lines


def _place_of(plan: Plan, source: int, num_rows: int) -> int | None:
    """The number of places by which a source has had so many rows; None where it never has."""

    def count(places: int) -> int:
        return int(plan.mixture.counts(places)[source])

    place = bisect_left(range(plan.num_places + 1), num_rows, key=count)
    return place if place <= plan.num_places else None
