"""Column names and types that every stage, shard and ledger agrees on.

All types are ones that `datasets.load_dataset` opens: string, large_string, int64, float64 and list<string>.
"""

import pyarrow as pa

# The `id` that the row of a file had, as text; null where it had none, and for records of a crawl.
ORIGINAL_ID = pa.field("original_id", pa.string())

# The identity of a row and the place of its record; set by the source, never changed after.
PROVENANCE = pa.schema(
    [
        pa.field(
            "id", pa.string()
        ),  # 32 hex digits: xxh3-128 of the WARC-Record-ID, or of a row's id and text; else of URL, date and body
        pa.field("url", pa.string()),
        pa.field("date", pa.string()),  # ISO 8601 as the record gives it; "" where it gives none
        pa.field("source", pa.string()),  # name of the recipe's [source.<name>]
        pa.field("warc_file", pa.string()),  # relative to the source's path
        pa.field("warc_offset", pa.int64()),  # byte of the file at which the record (its gzip member) begins
        pa.field("warc_length", pa.int64()),  # bytes in the file up to the next record; -1 where not applicable
        ORIGINAL_ID,
    ]
)
TEXT = pa.field("text", pa.large_string())

# Set by the `language` stage; null before it.
LANGUAGE = pa.schema([pa.field("language", pa.string()), pa.field("language_score", pa.float64())])

# The verdict. `drop_reasons` lists every failing rule of the first stage that failed, in recipe order; [] means kept.
VERDICT = pa.schema(
    [
        pa.field("drop_reasons", pa.list_(pa.string())),
        pa.field("twin", pa.string()),  # id of the representative that a duplicate was compared with
        pa.field("similarity", pa.float64()),  # Jaccard to the twin; 1.0 for exact and URL duplicates
    ]
)

NO_COLUMNS = pa.schema([])
KEPT = "kept"  # the fate of a document that stays, where fates are shown as text

# The columns of a crawl record until extraction has read it.
PAYLOAD = pa.schema(
    [
        pa.field("payload", pa.large_binary()),  # HTTP body, transfer and content encodings undone
        pa.field("http_status", pa.int64()),
        pa.field("content_type", pa.string()),  # media type in lower case, without parameters; null if undeclared
        pa.field("http_charset", pa.string()),  # charset parameter as declared; null if undeclared
    ]
)

# The columns that deduplication adds to a document that stays.
COPIES = pa.field("copies", pa.int64())  # documents removed as its copies by all stages so far, with their own copies
MASKED = pa.field("masked", pa.list_(pa.int64()))  # start, end, … in bytes of the text: read by a model, not learned
