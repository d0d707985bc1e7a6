"""The loss of each document by a trained model: what it costs to store it with the model as compressor.

Documents are packed as training rows are, so each token is predicted once, the end of the document included. Where a
document is split over rows, the first tokens of a later segment are predicted without the segments before.
"""

import numpy as np

from pretrain.micro_batches import DeviceBatch
from pretrain.order.batch import NO_LABEL, Rows, fill
from pretrain.order.packing import pack
from pretrain.parallel import SpreadModel
from shards.tokens import TokenDocuments


def document_nats(
    spread: SpreadModel, documents: TokenDocuments, chosen: np.ndarray, *, row_length: int, num_rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """(float64[chosen]: -ln p of each document's tokens, int64[chosen]: how many were predicted).

    `chosen` are numbers of documents, each at most once; masked tokens count in neither. `num_rows` rows go through the
    model at once.
    """
    num_predictions = np.zeros(len(documents), np.int64)
    num_predictions[chosen] = documents.num_tokens[chosen] - 1
    rows = Rows.of(pack(num_predictions, row_length), documents.first_token)
    nats, counts = np.zeros(len(documents)), np.zeros(len(documents), np.int64)
    tokens = documents.token_map()
    for first in range(0, rows.num_rows, num_rows):
        numbers = np.arange(first, min(first + num_rows, rows.num_rows))
        batch = fill(tokens, rows, numbers)
        (part,) = DeviceBatch(batch, spread.device).split(len(numbers))
        losses = spread.losses(part).double().cpu().numpy().ravel()
        document = rows.document[rows.first[first] : rows.first[numbers[-1] + 1]]
        is_segment = _are_segments(batch.num_segments_B, np.diff(rows.first[first : numbers[-1] + 2]))
        starts = batch.starts[:-1]
        np.add.at(nats, document, np.add.reduceat(losses, starts)[is_segment])
        labels = (batch.labels_BT.ravel() != NO_LABEL).astype(np.int64)
        np.add.at(counts, document, np.add.reduceat(labels, starts)[is_segment])
    return nats[chosen], counts[chosen]


def _are_segments(num_pieces_B: np.ndarray, num_segments_B: np.ndarray) -> np.ndarray:
    """bool[pieces]: False for the unfilled ends, each the last piece of its row."""
    marks = np.ones(int(num_pieces_B.sum()), bool)
    marks[(np.cumsum(num_pieces_B) - 1)[num_pieces_B > num_segments_B]] = False
    return marks
