"""Trainings whose token folders lie in a store are those of local folders."""

from collections.abc import Callable
from pathlib import Path

import pytest
from command import gristmill
from s3_server import Proxy
from token_folder import upload
from training_runs import curve, evaluations, train

from pretrain.order.trace import trace_step
from pretrain.verify_run import verify_run
from shards.errors import UserError
from shards.object_store import ObjectStore


@pytest.fixture
def stored(train_file: Callable[..., Path], tokens: Path, s3: Proxy) -> Callable[..., Path]:
    """Writes a TRAIN.toml whose sources lie in a store."""
    upload(tokens, f"{s3.folder}/tokens")
    sources = {name: {"tokens": f"{s3.folder}/tokens/{name}", "weight": w} for name, w in (("en", 0.75), ("ru", 0.25))}
    return lambda **changes: train_file(source=sources, **changes)


def test_it_is_the_training_of_local_folders_bit_for_bit(
    stored: Callable[..., Path], undisturbed: Path, tmp_path: Path, s3: Proxy
) -> None:
    s3.faults.busy = 0.05
    train(stored(steps=12))
    out = tmp_path / "out"
    assert curve(out) == curve(undisturbed)
    assert evaluations(out) == evaluations(undisturbed)
    assert verify_run(out).problems == []
    there, here = (trace_step(folder, 7, with_text=True) for folder in (out, undisturbed))
    assert there == here
    shown = gristmill("mixture", stored(steps=12)).stdout
    assert [line for line in shown.splitlines() if line.startswith("en")]
    assert shown.endswith("none of which is trained on\n")


@pytest.mark.slow
def test_tokenize_reads_from_a_store_and_writes_into_one(
    run_folder: Path, tokenizer_path: Path, tmp_path: Path, s3: Proxy
) -> None:
    upload(run_folder / "shards", f"{s3.folder}/run/shards")
    options = ("--tokenizer", tokenizer_path, "--held-out", "0.1")
    for out in (f"{s3.folder}/t", tmp_path / "t"):
        done = gristmill("tokenize", f"{s3.folder}/run", *options, "--out", out)
        assert done.returncode == 0, done.stderr
    here = {str(p.relative_to(tmp_path / "t")): p.read_bytes() for p in (tmp_path / "t").rglob("*") if p.is_file()}
    store = ObjectStore(f"{s3.folder}/t")
    there = {found.name: (store.look(found.name) or (b"",))[0] for found in store.below("")}
    assert {name: data for name, data in there.items() if ".lock" not in name} == {
        name: data for name, data in here.items() if ".lock" not in name
    }
    s3.requests.clear()
    again = gristmill("tokenize", f"{s3.folder}/run", *options, "--out", f"{s3.folder}/t")
    assert again.returncode == 0, again.stderr
    assert store.look("en/manifest.json")[0] == there["en/manifest.json"]  # type: ignore[index]
    assert not [key for kind, key in s3.log[-s3.requests.total() :] if kind == "PUT" and key.endswith(".arrow")]


def test_what_is_not_there_is_one_line_with_its_url(stored: Callable[..., Path], s3: Proxy) -> None:
    path = stored(out="other")
    path.write_text(path.read_text().replace("tokens/en", "tokens/fr"))
    done = gristmill("pretrain", path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"gristmill: {s3.folder}/tokens/fr: no token folder; make one with `gristmill tokenize SHARDS --tokenizer T "
        "--out TOKENS`"
    )
    path.write_text(path.read_text().replace(f"{s3.folder}/tokens/fr", "s3://me:secret@bucket/x"))
    with pytest.raises(UserError, match=r"holds a login or a signature; write only the address"):
        train(path)


def test_tokens_of_a_store_are_exported(stored: Callable[..., Path], tmp_path: Path, tokens: Path, s3: Proxy) -> None:
    stored()
    for to, folder in (("there", f"{s3.folder}/tokens/ru"), ("here", tokens / "ru")):
        done = gristmill("export-tokens", folder, "--to", tmp_path / to, "--format", "megatron")
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "there" / "train.bin").read_bytes() == (tmp_path / "here" / "train.bin").read_bytes()
