from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from command import gristmill
from corpus import make_texts, write_shard

from pretrain.config import load_config
from pretrain.order.leaks import held_out_leaks
from pretrain.order.plan import make_plan
from pretrain.tokenizing.tokenize import tokenize_shards
from shards.atomic import write_json
from shards.sink import read_table
from shards.token_manifest import MANIFESTS, read_shard_manifest, write_token_manifest
from shards.token_sink import TokenSink
from shards.tokens import HELD_OUT, TRAIN


def forge(folder: Path, num_rows: int) -> None:
    """Put some held-out documents among those to train on, with proofs that fit."""
    (manifest_path,) = (folder / MANIFESTS).glob("*.json")
    stem = manifest_path.stem
    held_out = read_table(folder / HELD_OUT / f"{stem}.arrow").slice(0, num_rows)
    trained = read_table(folder / TRAIN / f"{stem}.arrow")
    with TokenSink(folder / TRAIN / f"{stem}.arrow", 320) as sink:
        for batch in pa.concat_tables([trained, held_out]).combine_chunks().to_batches():
            sink.write(batch)
    manifest = read_shard_manifest(manifest_path)
    write_json(manifest_path, manifest.model_copy(update={"files": manifest.files | {TRAIN: sink.proof}}).model_dump())
    write_token_manifest(folder, 320, [stem])


def test_held_out_texts_that_a_source_trains_on_are_counted(
    tmp_path: Path, tokenizer_path: Path, train_file: Callable[..., Path]
) -> None:
    texts = make_texts("en", 300)
    for crawl, part in (("one", texts[:200]), ("two", texts[100:])):
        ids = pa.array([f"{crawl}-{i}" for i in range(len(part))])
        shard = write_shard(tmp_path / crawl / "web.arrow", part, id=ids)
        tokenize_shards([shard], tokenizer_path, tmp_path / "t", held_out_fraction=0.2, report=lambda line: None)
    path = train_file(source={crawl: {"tokens": str(tmp_path / "t" / crawl)} for crawl in ("one", "two")})
    leaks = held_out_leaks(make_plan(load_config(path, {})))
    assert leaks.met == {}
    assert 40 < leaks.num_held_out < 80
    shown = gristmill("mixture", path, columns=200).stdout
    assert shown.splitlines()[-1] == f"{leaks.num_held_out} held-out texts, none of which is trained on"
    forge(tmp_path / "t" / "two", 7)
    assert held_out_leaks(make_plan(load_config(path, {}))).met == {"two": 7}
    shown = gristmill("mixture", path, columns=200).stdout
    assert ", of which some are trained on: 7 in source two; tokenize all sources with one --held-out" in shown
