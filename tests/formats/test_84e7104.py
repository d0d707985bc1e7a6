"""The folders that commit 84e7104 made, opened by today's code; the README.md beside them says how they were made."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pretrain.tokenizing.tokenizer import Tokenizer
from shards.errors import GristmillError, RunError
from shards.formats import INDEX_FORMAT, RUN_FORMAT, TOKENS_FORMAT
from shards.manifest import SCHEMA_VERSION
from shards.sink import read_table
from shards.token_manifest import verify_tokens
from shards.tokens import HELD_OUT, TRAIN, TokenDocuments

FERRY, MILL, STATION = (
    "2b13e807a3df51725049f3cb2e55ff19",
    "3197b4081d257a10a001e63a51553fcf",
    "10418e0f108df19331d337403537a73a",
)
KEPT = [MILL, STATION, FERRY, "5d346e06c831c522270319b9c58700cb", "e84d10ff081a5f3b4b1756c50bf53f29"]
DROPPED = {"dedup.exact": 2, "dedup.near": 2, "gopher_quality.too_few_words": 1, "page.bad_status": 1}
NEWER = "was made by a newer gristmill (format 999, this one reads up to {}); update gristmill"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folders, which is the current folder."""
    shutil.copytree(Path(__file__).parent / "84e7104", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def gristmill(*words: str) -> str:
    """What a command prints; its error is raised."""
    done = CliRunner().invoke(app, words)
    if isinstance(done.exception, GristmillError):
        raise done.exception
    return done.output


def refusal(*words: str) -> str:
    with pytest.raises(GristmillError) as raised:
        gristmill(*words)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def ids(path: str) -> list[str]:
    found: list[str] = read_table(Path(path), ["id"])["id"].to_pylist()
    return found


def change(name: str, edit: Callable[[dict[str, Any]], Any]) -> None:
    path = Path(name)
    values = json.loads(path.read_bytes())
    edit(values)
    path.write_text(json.dumps(values))


# A finished run.


def test_status_and_verify_read_the_run() -> None:
    assert gristmill("status", "run").splitlines() == [
        "run: done",
        "inputs: 1 file, 0.0 MB",
        "shards: 1 unit, 5 of 11 documents kept",
    ]
    assert gristmill("verify", "run") == "run: 1 unit whole: files, checksums, rows and counts agree\n"


def test_the_report_is_written_anew_with_the_same_counts() -> None:
    before = json.loads(Path("run/report.json").read_bytes())
    gristmill("report", "run")
    after = json.loads(Path("run/report.json").read_bytes())
    assert after["documents"] == {"input": 11, "kept": 5}
    assert after["dropped"] == DROPPED
    assert after["kept_words"] == 526
    of_rules = [{key: rule[key] for key in old} for old, rule in zip(before["rules"], after["rules"], strict=True)]
    assert of_rules == before["rules"]
    assert {key: after[key] for key in before if key != "rules"} == {k: v for k, v in before.items() if k != "rules"}
    assert "http" in Path("run/report.html").read_text()


def test_whatif_decides_by_the_recorded_metrics() -> None:
    assert "kept documents: 5 -> 5 (0)" in gristmill("whatif", "run", "--set", "gopher_quality.min_words=30")
    found = gristmill("whatif", "run", "--set", "gopher_quality.min_words=118")
    assert "gopher_quality.min_words 20 -> 118" in found
    assert "kept documents: 5 -> 2 (-3)" in found


def test_explain_knows_a_representative_and_a_copy() -> None:
    kept = gristmill("explain", "run", "http://near.example/ferry")
    assert "verdict   kept, 617 characters, representative of 2 others" in kept
    assert "http://ferry.example/timetable, similarity 1.000, dedup.exact" in kept
    dropped = gristmill("explain", "run", "bacfb905c1515a1a47cfd22e1558aafa")
    assert f"twin      {MILL} http://mill.example/water, similarity 0.916" in dropped
    assert "verdict   dropped: dedup.near" in dropped


def test_pairs_and_diff_read_the_ledger_and_the_edges() -> None:
    rows = [json.loads(line) for line in gristmill("pairs", "run").splitlines()]
    assert [(row["stage"], round(row["similarity"], 3)) for row in rows] == [
        ("exact", 1.0),
        ("exact", 1.0),
        ("near", 0.917),
        ("near", 0.916),
    ]
    assert "11 documents in both, 0 with another fate" in gristmill("diff", "run", "run")


def test_apply_refuses_texts_that_another_extractor_made_and_names_the_command_that_reads_the_crawl() -> None:
    message = refusal("apply", "run", "--set", "gopher_quality.min_words=30", "--out", "other")
    assert message.startswith("run: made by another version of what reads and extracts: stage version.page (1 there, ")
    assert message.endswith(
        "; to extract again: gristmill run run/recipe.toml --set gopher_quality.min_words=30 --out NEW"
    )
    assert not Path("other").exists()


def test_a_removal_leaves_a_whole_run() -> None:
    assert "run: 1 document removed, 1 of them from its shards" in gristmill("remove", "run", "--id", STATION)
    assert ids("run/shards/web/web-00000-000.arrow") == [id_ for id_ in KEPT if id_ != STATION]
    assert "1 unit whole" in gristmill("verify", "run")


def test_the_same_shards_give_the_same_tokens() -> None:
    options = ("--tokenizer", "tokens/web/tokenizer.json", "--held-out", "0.3")
    gristmill("tokenize", "run", *options, "--out", "t")
    assert tokens_of("t") == tokens_of("tokens")


def tokens_of(folder: str) -> dict[str, list[int]]:
    """The tokens of each document of both splits."""
    tables = [read_table(Path(folder, "web", split, "web-00000-000.arrow")) for split in (TRAIN, HELD_OUT)]
    return {row["id"]: row["tokens"] for table in tables for row in table.to_pylist()}


def test_the_same_recipe_today_is_another_run_and_overwrites_only_when_told() -> None:
    message = refusal("run", "recipe.toml", "--out", "run", "--executor", "in-process")
    assert message.startswith("run: holds another run; different: ")
    assert "format" not in message
    assert message.endswith("; choose another --out, or --overwrite to redo it")


# A run under way.


def test_a_run_under_way_is_refused_with_what_begins_it_anew() -> None:
    cannot = "unfinished: the run is not finished, and this gristmill cannot go on with work of format 1"
    cannot += "; run its command again with --overwrite, which begins it anew"
    assert gristmill("status", "unfinished").splitlines() == [cannot, "inputs: 1 file, 0.0 MB"]
    assert gristmill("verify", "unfinished").splitlines()[0] == cannot
    assert refusal("report", "unfinished") == f"{cannot}, then ask for its report"
    assert refusal("pairs", "unfinished") == f"{cannot}, then ask again"
    assert refusal("remove", "unfinished", "--id", FERRY) == f"{cannot}, then remove"
    assert refusal("run", "recipe.toml", "--out", "unfinished").endswith("or --overwrite to redo it")


def test_overwrite_begins_a_run_under_way_anew() -> None:
    gristmill("run", "recipe.toml", "--out", "unfinished", "--executor", "in-process", "--overwrite")
    assert json.loads(Path("unfinished/report.json").read_bytes())["dropped"] == DROPPED
    assert json.loads(Path("unfinished/run.json").read_bytes())["format"] == RUN_FORMAT
    assert not Path("unfinished/work").exists()
    assert ids("unfinished/shards/web/web-00000-000.arrow") == KEPT


# Indexes.


def test_an_index_of_hashes_in_an_older_normal_form_names_the_command_that_makes_it_anew() -> None:
    remedy = "; delete the folder and run `gristmill index add index RUN` again for run"
    for words in (("query", "index", "--url", "http://a.example/"), ("add", "index", "run")):
        message = refusal("index", *words)
        assert message.startswith("index: holds hashes of normal form 0 of texts, and this version compares form ")
        assert message.endswith(remedy)
    shutil.rmtree("index")
    assert "index: added 5 documents of run" in gristmill("index", "add", "index", "run")
    assert f"exact 1.000, {MILL}" in gristmill("index", "query", "index", "run/shards")


def test_documents_are_removed_from_an_index_whatever_their_hashes_are() -> None:
    assert "index: 1 document removed" in gristmill("index", "remove", "index", "--id", STATION)
    (part,) = Path("index").glob("*/index.json")
    assert json.loads(part.read_bytes())["num_documents"] == 4
    assert STATION not in ids(str(part.parent / "documents" / "web-00000-000+1.arrow"))


def test_an_index_without_hashes_of_texts_is_read() -> None:
    found = gristmill("index", "query", "index-urls", "--url", "http://www.mill.example/water?utm_source=a")
    assert found.endswith(f"url 1.000, {MILL} http://mill.example/water of run\n")
    assert "run is there already" in gristmill("index", "add", "index-urls", "run", "--recipe", "urls.toml")
    assert "1 document removed" in gristmill("index", "remove", "index-urls", "--id", MILL)
    assert gristmill("index", "query", "index-urls", "--url", "http://mill.example/water").endswith("nothing like it\n")


def test_shards_and_an_index_of_that_commit_are_inputs_of_a_run() -> None:
    stage = '[[stage]]\nkind = "url_dedup"\nindex = "index-urls"\n'
    Path("next.toml").write_text(f'[source.web]\nkind = "shards"\npaths = ["run/shards"]\n{stage}')
    assert "5 documents in, 0 kept" in gristmill("run", "next.toml", "--out", "next", "--executor", "in-process")
    rows = read_table(Path("next/ledger/web-00000-000.arrow"), ["url", "drop_reasons"]).to_pylist()
    assert {tuple(row["drop_reasons"]) for row in rows} == {("dedup.url",)}


# A token folder.


TOO_OLD = (
    f"was made by an older gristmill (format 2, this one reads {TOKENS_FORMAT}); run the same `gristmill tokenize` "
    "again, which makes the tokens anew from their text shards"
)


@pytest.mark.usefixtures("recipes")
def test_tokens_that_were_held_out_by_id_are_refused_and_made_anew() -> None:
    assert refusal("pretrain", "train.toml").endswith(f"tokens/web/manifest.json: {TOO_OLD}")
    gristmill("tokenize", "run", "--tokenizer", "tokens/web/tokenizer.json", "--held-out", "0.3", "--out", "tokens")
    verify_tokens(Path("tokens/web"))
    documents, held_out = (TokenDocuments(Path("tokens/web"), split) for split in (TRAIN, HELD_OUT))
    assert (len(documents), len(held_out)) == (3, 2)
    assert int(documents.num_tokens.sum() + held_out.num_tokens.sum()) == 1742
    assert int(documents.num_bytes.sum() + held_out.num_bytes.sum()) == 2493
    assert documents.weights.tolist() == [1, 1, 1]
    assert {documents.provenance(i).id for i in range(3)} | {held_out.provenance(i).id for i in range(2)} == set(KEPT)
    shard = read_table(Path("run/shards/web/web-00000-000.arrow"), ["id", "text"]).to_pylist()
    texts = {row["id"]: row["text"] for row in shard}
    tokenizer = Tokenizer(Path("tokens/web/tokenizer.json"))
    for i, num_tokens in enumerate(documents.num_tokens.tolist()):
        (tokens,) = tokenizer.encode_batch([texts[documents.provenance(i).id]])
        assert documents.tokens(i, 1, num_tokens - 1).tolist() == tokens.tolist()  # between <|bos|> and <|eos|>


def test_tokenize_keeps_the_shards_that_are_made() -> None:
    path = Path("tokens/web/train/web-00000-000.arrow")
    words = ("tokenize", "run", "--tokenizer", "tokens/web/tokenizer.json", "--held-out", "0.3", "--out", "tokens")
    gristmill(*words)
    before = path.stat().st_mtime_ns
    gristmill(*words)
    assert path.stat().st_mtime_ns == before


# Numbers.

OF_RUN = [
    ("status", "run"),
    ("verify", "run"),
    ("report", "run"),
    ("whatif", "run"),
    ("apply", "run", "--out", "other"),
    ("explain", "run", MILL),
    ("pairs", "run"),
    ("contamination", "run"),
    ("diff", "run", "run"),
    ("remove", "run", "--id", MILL),
    ("index", "add", "new", "run"),
    ("run", "recipe.toml", "--out", "run"),
    ("run", "recipe.toml", "--out", "run", "--overwrite"),
    ("run", "shards.toml", "--out", "other"),
    ("tokenize", "run", "--tokenizer", "tokens/web/tokenizer.json", "--out", "t"),
    ("tokenizer", "train", "run/shards/web", "--out", "t.json"),
]
OF_INDEX = [
    ("index", "query", "index-urls", "--url", "http://a.example/"),
    ("index", "add", "index-urls", "run", "--recipe", "urls.toml"),
    ("index", "remove", "index-urls", "--id", MILL),
    ("run", "index.toml", "--out", "other"),
]
OF_TOKENS = [
    ("tokenize", "run", "--tokenizer", "tokens/web/tokenizer.json", "--held-out", "0.3", "--out", "tokens"),
    ("pretrain", "train.toml"),
]


@pytest.fixture
def recipes() -> None:
    url_dedup = '[[stage]]\nkind = "url_dedup"\n'
    Path("shards.toml").write_text(f'[source.web]\nkind = "shards"\npaths = ["run/shards/web"]\n{url_dedup}')
    Path("index.toml").write_text(
        f'[source.web]\nkind = "text"\npaths = ["recipe.toml"]\n{url_dedup}index = "index-urls"\n'
    )
    Path("train.toml").write_text(
        'out = "model"\ntokens = 1000\nsequence_length = 32\nbatch_size = 1\n[model]\npreset = "25m"\n'
        '[source.web]\ntokens = "tokens/web"\n'
    )


def contents() -> dict[str, str]:
    paths = (path for path in Path().rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.mark.usefixtures("recipes")
def test_every_verb_refuses_the_folder_of_a_newer_gristmill_and_changes_nothing() -> None:
    index = str(next(Path("index-urls").glob("*/index.json")))
    run, tokens = "run/run.json", "tokens/web/manifest.json"
    cases = (
        (run, "format", RUN_FORMAT, OF_RUN),
        (index, "version", INDEX_FORMAT, OF_INDEX),
        (tokens, "version", TOKENS_FORMAT, OF_TOKENS),
    )
    for name, key, newest, commands in cases:
        as_it_was = Path(name).read_bytes()
        change(name, lambda values, key=key: values.update({key: 999}))
        before = contents()
        for words in commands:
            message = refusal(*words)
            assert message.endswith(f"{name}: {NEWER.format(newest)}"), words
        assert contents() == before
        Path(name).write_bytes(as_it_was)


def test_tokenize_does_not_delete_the_manifest_of_a_newer_gristmill() -> None:
    name = "tokens/web/manifests/web-00000-000.json"
    change(name, lambda values: values.update(version=999))
    before = Path(name).read_bytes()
    assert refusal(*OF_TOKENS[0]).endswith(f"{name}: {NEWER.format(TOKENS_FORMAT)}")
    assert Path(name).read_bytes() == before


def test_a_newer_manifest_of_a_unit_is_refused() -> None:
    name = "run/shards/web/web-00000-000.json"
    change(name, lambda values: values.update(schema_version=999))
    assert refusal("report", "run") == f"{name}: {NEWER.format(SCHEMA_VERSION)}"
    assert f"{name}: {NEWER.format(SCHEMA_VERSION)}" in gristmill("verify", "run").splitlines()


@pytest.mark.usefixtures("recipes")
def test_a_folder_without_a_number_is_the_oldest() -> None:
    (index,) = map(str, Path("index-urls").glob("*/index.json"))
    change(index, lambda values: values.pop("version"))
    assert MILL in gristmill("index", "query", "index-urls", "--url", "http://mill.example/water")
    for name in ("tokens/web/manifest.json", "tokens/web/manifests/web-00000-000.json"):
        change(name, lambda values: values.pop("version"))
    remedy = "run the same `gristmill tokenize` again, which makes the tokens anew from their text shards"
    assert refusal("pretrain", "train.toml").endswith(
        f"tokens/web/manifest.json: was made by an older gristmill (format 1, this one reads {TOKENS_FORMAT}); {remedy}"
    )
    gristmill(*OF_TOKENS[0])
    assert len(TokenDocuments(Path("tokens/web"), TRAIN)) == 3


@pytest.mark.parametrize("number", ["2", -1, 0, 1.0, True, None, [], {"a": 1}])
def test_a_number_that_is_none_is_damage(number: object) -> None:
    (index,) = map(str, Path("index-urls").glob("*/index.json"))
    tokens = "tokens/web/manifest.json"
    for name, key in (("run/run.json", "format"), (index, "version"), (tokens, "version")):
        change(name, lambda values, key=key: values.update({key: number}))
    found = f"expected a whole number from 1, found {json.dumps(number)}; "
    for words in (("status", "run"), ("report", "run"), ("explain", "run", MILL)):
        assert refusal(*words) == (
            f"run/run.json: format: {found}put the file back, or delete the folder and run again"
        )
    assert refusal("index", "query", "index-urls", "--url", "http://a.example/").startswith(
        f"{index}: version: {found}"
    )
    with pytest.raises(RunError) as raised:
        TokenDocuments(Path("tokens/web"), TRAIN)
    assert str(raised.value).startswith(f"{tokens}: version: {found}run the same `gristmill tokenize` again")
    gristmill(
        "tokenize", "run", "--tokenizer", "tokens/web/tokenizer.json", "--out", "t"
    )  # shards are read all the same
