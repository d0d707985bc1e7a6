"""Held-out texts that are trained on: none, as long as token folders hold out by text and by one fraction.

Texts are compared by their hashes, over all sources. Near-duplicates need no look: of a cluster that deduplication
found, a run keeps one document, which is on one side.
"""

from dataclasses import dataclass

import numpy as np

from pretrain.order.plan import Plan, held_out_documents


@dataclass(frozen=True)
class Leaks:
    """Held-out texts of all sources."""

    num_held_out: int  # distinct
    met: dict[str, int]  # by source that trains on some of them: how many


def held_out_leaks(plan: Plan) -> Leaks:
    """The held-out texts that stand among the documents to train on; reads 8 bytes a document."""
    hashes = [documents.column("text_hash").to_numpy() for documents in held_out_documents(plan).values()]
    held_out = np.unique(np.concatenate([np.zeros(0, np.uint64), *hashes]))
    if not len(held_out):
        return Leaks(0, {})
    met = {}
    for source in plan.sources:
        documents = source.documents
        trained = documents.column("text_hash").to_numpy()[documents.weights > 0]
        trained = trained[trained <= held_out[-1]]  # held-out texts have the smallest hashes, so hardly any is left
        if count := np.intersect1d(trained, held_out).size:
            met[source.name] = count
    return Leaks(len(held_out), met)
