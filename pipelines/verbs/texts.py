"""The text of one document of a finished run, from wherever the run keeps it."""

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ledger.table import Ledger
from pipelines.verbs.explain_duplicates import Facts, kept_text
from shards import mirror
from shards.sink import read_batches


def stored_text(ledger: Ledger, number: int, facts: Facts) -> str | None:
    """The text that extraction gave the document of row `number`; else that of its shard, else of `dropped/`.

    None where the run keeps none.
    """
    key = ledger.key_of(number)
    path = ledger.run.path(ledger.run.texts(key))
    if mirror.exists(path):
        left = number - int(ledger.first_rows[ledger.keys.index(key)])
        for batch in read_batches(path, ["text"]):
            if left < batch.num_rows:
                return _plain(batch["text"][left])
            left -= batch.num_rows
    if not facts["drop_reasons"]:
        return kept_text(ledger, facts)
    if not ledger.run.has(ledger.run.DROPPED_TEXTS):
        return None
    dropped = ledger.run.path(ledger.run.DROPPED_TEXTS)
    for place, batch in enumerate(read_batches(dropped, ["id"])):
        row = pc.index(batch["id"], facts["id"]).as_py()
        if row >= 0:
            (texts,) = read_batches(dropped, ["text"], [place])
            return _plain(texts["text"][row])
    return None


def _plain(text: pa.Scalar) -> str | None:
    plain: str | None = text.as_py()
    return plain
