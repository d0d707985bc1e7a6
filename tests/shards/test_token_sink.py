import hashlib
from pathlib import Path

import pyarrow as pa
from token_folder import DOCUMENTS, write_token_folder

from shards.sink import read_table
from shards.token_manifest import TokenFile, read_token_manifest
from shards.token_sink import TokenSink
from shards.tokens import TRAIN


def test_the_proof_counts_what_was_written_however_it_is_cut(tmp_path: Path) -> None:
    write_token_folder(tmp_path / "web")
    (rows,) = read_table(tmp_path / "web" / TRAIN / "a.arrow").combine_chunks().to_batches()

    def written(name: str, *batches: pa.RecordBatch) -> TokenFile:
        with TokenSink(tmp_path / name, 300) as sink:
            for batch in batches:
                sink.write(batch)
        return sink.proof

    whole = written("whole", rows)
    assert whole == written("cut", rows[:1], rows[1:1], rows[1:])
    assert whole == read_token_manifest(tmp_path / "web").shards["a"].files[TRAIN]
    assert whole.sha256 == hashlib.sha256((tmp_path / "cut").read_bytes()).hexdigest()
    lengths, weights = zip(*((len(tokens), weight) for _, tokens, _, weight in DOCUMENTS["a"]), strict=True)
    assert (whole.num_tokens, whole.num_masked_tokens) == (sum(lengths), 5)
    assert whole.num_epoch_tokens == sum(n * w for n, w in zip(lengths, weights, strict=True))
    assert whole.num_text_bytes == 2 * sum(lengths)
