"""Made-up shards, of documents of random words that are all different, and the text of tokens."""

import random
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import tokenizers
import xxhash

from pretrain.tokenizing.tokenizer import Tokenizer
from shards.sink import ArrowSink

WORDS = {
    "en": [
        "the",
        "mill",
        "grinds",
        "slowly",
        "and",
        "every",
        "grain",
        "of",
        "wheat",
        "becomes",
        "flour",
        "for",
        "bread",
    ],
    "ru": ["мельница", "мелет", "медленно", "и", "каждое", "зерно", "пшеницы", "станет", "мукой", "хлеба", "ёлка"],
}
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("url", pa.string()),
        ("date", pa.string()),
        ("source", pa.string()),
        ("text", pa.large_string()),
    ]
)


def write_shard(path: Path, texts: Sequence[str], **more: pa.Array) -> Path:
    """`more` are further columns, or the ids."""
    ids = more.pop("id").to_pylist() if "id" in more else [xxhash.xxh3_128_hexdigest(text.encode()) for text in texts]
    columns = [
        ids,
        [f"https://mill.example/{i}" for i in ids],
        ["2024-05-01"] * len(ids),
        [path.parent.name] * len(ids),
    ]
    schema = pa.schema([*SCHEMA, *((name, column.type) for name, column in more.items())])
    arrays = [*map(pa.array, columns), pa.array(texts, pa.large_string()), *more.values()]
    with ArrowSink(path, schema) as sink:
        sink.write(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return path


def make_texts(language: str, count: int) -> list[str]:
    """Documents of 1 to 120 words, all different."""
    choose = random.Random(language)
    return [f"{i} " + " ".join(choose.choices(WORDS[language], k=choose.randint(1, 120))) for i in range(count)]


def decode(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """The text of tokens by `tokenizers`, which had no part in encoding it."""
    oracle = tokenizers.Tokenizer.from_str(tokenizer.json.decode())
    text: str = oracle.decode(list(ids), skip_special_tokens=False)
    return text
