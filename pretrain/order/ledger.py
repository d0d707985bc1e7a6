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
    counts, epochs = plan.mixture.counts(end), plan.mixture.epochs(end)
    lines = []
    for s, source in enumerate(plan.sources):
        # bisect_left finds the first number of places by which the source has had so many rows.
        passes = {
            k: bisect_left(range(end), k * source.num_rows, key=lambda places, s=s: plan.mixture.counts(places)[s]) * T
            if epochs[s] >= k
            else None
            for k in PASSES
        }
        share = counts[s] / end
        lines.append(
            EpochLine(source.name, source.num_epoch_tokens, float(share), int(counts[s]) * T, float(epochs[s]), passes)
        )
    return lines
