"""Dump N+1 against what dumps 1…N kept."""

import json
import random
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasketch import MinHashLSH
from dedup_cases import edited, random_words
from dedup_oracles import minhashes

from dedup.files.documents import load_npy
from dedup.index import read_parts, remove_documents
from dedup.lsh.shingles import shingles_of
from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.run.opening import open_run
from pipelines.verbs.index import add, query
from pipelines.verbs.remove import Requests, remove_from_index
from pipelines.verbs.verify import verify_run
from shards.errors import RunError, UserError
from shards.sink import read_table

RECIPE = """
[source.web]
kind = "jsonl"
paths = []
[[stage]]
kind = "exact"
keep = "first"
[[stage]]
kind = "minhash"
keep = "first"
bands = 20
rows = 5
verify = "signature"
[[stage]]
kind = "url_dedup"
keep = "first"
"""
KINDS = ("exact", "minhash", "url_dedup")
Row = dict[str, str]


def dumps() -> tuple[list[Row], list[Row]]:
    """Pages, and of the next dump new ones and equal texts, near texts and equal URLs of both dumps."""
    rng = random.Random(3)
    pages = [random_words(rng, 60) for _ in range(40)]
    first = [{"url": f"https://a.example/{i}", "text": " ".join(page)} for i, page in enumerate(pages[:25])]
    second = [{"url": f"https://b.example/{i}", "text": " ".join(page)} for i, page in enumerate(pages[20:])]
    second += [{"url": f"https://c.example/{i}", "text": " ".join(edited(rng, pages[i], 1))} for i in (1, 2, 30)]
    second += [
        {"url": f"http://www.a.example/{i}?utm_source=x", "text": " ".join(random_words(rng, 60))} for i in (3, 4)
    ]
    return first, second


def make_run(folder: Path, rows: Sequence[Row], settings: Sequence[str] = (), recipe: str = RECIPE) -> Path:
    """Of two files, in which the rows stand in their order."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    source = folder.parent / f"{folder.name}-in"
    source.mkdir(exist_ok=True)
    for number, part in enumerate((rows[: len(rows) // 2], rows[len(rows) // 2 :])):
        (source / f"{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    (folder.parent / "recipe.toml").write_text(recipe)
    given = load_recipe(str(folder.parent / "recipe.toml"), [f'source.paths="{source}"', *settings])
    execute(open_run(given, folder), InProcess(), lambda _: None)
    return folder


def with_index(index: Path) -> list[str]:
    return [f'{kind}.index="{index}"' for kind in KINDS]


def kept(*runs: Path) -> list[str]:
    shards = [path for run in runs for path in sorted(run.glob("shards/*/*.arrow"))]
    return sorted(url for path in shards for url in read_table(path)["url"].to_pylist())


def ledger(run: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(run.glob("ledger/*.arrow")) for row in read_table(path).to_pylist()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dumps, the second compared with the index of the first."""
    folder = tmp_path_factory.mktemp("dumps")
    first, second = dumps()
    add(folder / "index", make_run(folder / "one", first), InProcess())
    make_run(folder / "two", second, with_index(folder / "index"))
    make_run(folder / "both", first + second)
    return folder


def test_two_dumps_with_an_index_keep_what_one_run_over_both_keeps(made: Path) -> None:
    assert kept(made / "one", made / "two") == kept(made / "both")
    assert {row["drop_reasons"][0] for row in ledger(made / "two") if row["drop_reasons"]} == {
        "dedup.exact",
        "dedup.near",
        "dedup.url",
    }


def test_the_run_names_the_earlier_documents_and_is_whole(made: Path) -> None:
    named = {
        row["id"]: row for kind in KINDS for row in read_table(made / f"two/dedup/{kind}/earlier.arrow").to_pylist()
    }
    own = {row["id"] for row in ledger(made / "two")}
    twins = {row["twin"] for row in ledger(made / "two") if row["twin"]}
    assert named
    assert twins - own == set(named)
    assert {row["run"] for row in named.values()} == {"one"}
    assert all(row["url"].startswith("https://a.example/") for row in named.values())
    assert verify_run(made / "two")[1] == []


def test_the_same_dump_again_is_a_duplicate_as_a_whole(made: Path) -> None:
    again = make_run(made / "again", dumps()[0], with_index(made / "index"))
    assert kept(again) == []
    assert verify_run(again)[1] == []


def test_adding_a_run_twice_changes_nothing_and_another_recipe_is_refused(made: Path, tmp_path: Path) -> None:
    before = sorted((p, p.stat().st_mtime_ns) for p in (made / "index").glob("*/**/*.*"))
    assert add(made / "index", made / "one", InProcess()).was_there
    assert sorted((p, p.stat().st_mtime_ns) for p in (made / "index").glob("*/**/*.*")) == before
    other = make_run(tmp_path / "other", dumps()[0], ["minhash.seed=7"])
    with pytest.raises(UserError, match=r"minhash.seed \(1 there, 7 here\)"):
        add(made / "index", other, InProcess())
    with pytest.raises(UserError, match=r"minhash.seed \(1 there, 7 here\)"):
        make_run(tmp_path / "refused", dumps()[0], ["minhash.seed=7", *with_index(made / "index")])
    with pytest.raises(UserError, match="no index"):
        make_run(tmp_path / "refused", dumps()[0], with_index(tmp_path / "none"))


def test_an_index_of_another_normal_form_is_refused_with_its_remedy(made: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    shutil.copytree(made / "index", index)
    for path in index.glob("*/index.json"):
        part = json.loads(path.read_bytes())
        for kind in ("exact", "minhash"):
            part["settings"][kind].pop("normal_form")
        path.write_text(json.dumps(part))
    refusal = "index: holds hashes of normal form 0 of texts.* form 1; delete the folder and run `gristmill index add "
    with pytest.raises(UserError, match=refusal):
        make_run(tmp_path / "refused", dumps()[1], with_index(index))
    with pytest.raises(UserError, match=refusal):
        add(index, made / "one", InProcess())
    with pytest.raises(UserError, match=refusal):
        list(query(index, [], ["https://a.example/9"], InProcess(), 0.75))
    assert remove_from_index(index, Requests(domains=("a.example",)))  # a removal is never refused


def test_an_index_that_grew_makes_another_run_and_its_path_does_not(made: Path, tmp_path: Path) -> None:
    (made / "index").rename(tmp_path / "elsewhere")
    try:
        recipe = load_recipe(
            str(made / "recipe.toml"), [f'source.paths="{made}/two-in"', *with_index(tmp_path / "elsewhere")]
        )
        open_run(recipe, made / "two")
        add(tmp_path / "elsewhere", made / "two", InProcess())
        with pytest.raises(UserError, match=r"digest of.exact.index"):
            open_run(recipe, made / "two")
        (grown,) = (path for path, part in read_parts(tmp_path / "elsewhere").items() if part.run == "two")
        (grown / "index.json").unlink()
    finally:
        (tmp_path / "elsewhere").rename(made / "index")


def test_a_query_names_the_best_match(made: Path, tmp_path: Path) -> None:
    first, second = dumps()
    texts = {
        "exact": {"url": "https://new.example/", "text": first[5]["text"].upper()},
        "near": {"url": "https://c.example/1", "text": second[-5]["text"]},
        "url": {"url": "http://a.example/3#top", "text": "quite other words " * 20},
        None: {"url": "https://none.example/", "text": "nothing that was there before " * 20},
    }
    asked = tmp_path / "asked.jsonl"
    asked.write_text("".join(json.dumps(row) + "\n" for row in texts.values()))
    found = list(query(made / "index", [str(asked)], ["https://a.example/9"], InProcess(), 0.75))
    assert [match.kind for match in found] == [*texts, "url"]
    assert [match.url for match in found] == [first[5]["url"], first[1]["url"], first[3]["url"], None, first[9]["url"]]
    assert 0.75 <= (found[1].similarity or 0) < 1


def test_datasketch_finds_what_our_index_finds(made: Path) -> None:
    hashes = dict(minhashes(made / "index"))
    lsh = MinHashLSH(threshold=0.75, num_perm=100, params=(20, 5))
    for name, signature in hashes.items():
        lsh.insert(name, signature)
    urls = {row["id"]: row["url"] for row in ledger(made / "one")}
    add(made / "index-of-two", make_run(made / "two-alone", dumps()[1]), InProcess())
    near = {row["url"]: row["twin"] for row in ledger(made / "two") if row["drop_reasons"] == ["dedup.near"]}
    two = {row["id"]: row["url"] for row in ledger(made / "two-alone")}
    found = {two[name]: lsh.query(signature) for name, signature in minhashes(made / "index-of-two")}
    assert {url: [near[url]] for url in near if near[url] in urls} == {
        url: found[url] for url in near if near[url] in urls
    }
    assert any(near[url] in urls for url in near)


def test_a_signature_grows_in_datasketch_as_ours_would(made: Path) -> None:
    name, signature = next(minhashes(made / "index"))
    (text,) = (
        row["text"]
        for path in (made / "one").glob("shards/*/*.arrow")
        for row in read_table(path).to_pylist()
        if row["id"] == name
    )
    again = signature.copy()
    again.hashvalues[:] = 0xFFFFFFFF
    for value in shingles_of(pa.array([text], pa.large_string()), 5, "words", False)[0].tolist():
        again.update(value)
    assert (again.hashvalues == signature.hashvalues).all()


@pytest.mark.parametrize("name", ["minhash/*.keys.npy", "minhash/*.sets.npy", "exact/*.documents.npy"])
def test_a_file_that_is_cut_short_or_missing_is_told(made: Path, tmp_path: Path, name: str) -> None:
    path = next((made / "index").glob(f"one-*/{name}"))
    data = path.read_bytes()
    try:
        for broken in (data[:-8], None):
            path.write_bytes(broken) if broken is not None else path.unlink()
            with pytest.raises(RunError, match=f"{path.name}: (has|missing)"):
                list(query(made / "index", [], ["https://a.example/9"], InProcess(), 0.75))
            with pytest.raises(RunError, match=f"{path.name}: (has|missing)"):
                make_run(tmp_path / "run", dumps()[1], with_index(made / "index"))
    finally:
        path.write_bytes(data)


def test_a_killed_add_leaves_nothing_and_a_rerun_gives_the_same_files(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    index = tmp_path / "index"
    with monkeypatch.context() as patch:
        patch.setattr("pipelines.verbs.index.write_part", killed)
        with pytest.raises(KeyboardInterrupt):
            add(index, made / "one", InProcess())
    with pytest.raises(UserError, match="no index"):
        read_parts(index)
    add(index, made / "one", InProcess())
    assert [part.files for part in read_parts(index).values()] == [
        part.files for part in read_parts(made / "index").values() if part.run == "one"
    ]


def test_who_is_removed_from_an_index_is_not_found_again(made: Path, tmp_path: Path) -> None:
    index, (first, _) = tmp_path / "index", dumps()
    add(index, made / "one", InProcess())
    requests = Requests(
        urls=("http://www.a.example/5",),
        ids=(next(r["id"] for r in ledger(made / "one") if r["url"] == first[6]["url"]),),
    )
    assert remove_from_index(index, requests) == 2
    assert remove_from_index(index, requests) == 0
    asked = tmp_path / "asked.jsonl"
    asked.write_text(
        "".join(json.dumps({"url": f"https://x.example/{i}", "text": first[i]["text"]}) + "\n" for i in (4, 5, 6, 7))
    )
    assert [match.kind for match in query(index, [str(asked)], [first[5]["url"]], InProcess(), 0.75)] == [
        "exact", None, None, "exact", None,
    ]  # fmt: skip
    again = make_run(tmp_path / "again", first, with_index(index))
    assert kept(again) == [first[5]["url"], first[6]["url"]]
    left = dict(minhashes(index))
    before = dict(minhashes(made / "index"))
    assert len(before) - len(left) == 2
    assert all(left[name] == before[name] for name in left)
    assert all(p in {f / n for f, part in read_parts(index).items() for n in part.files} for p in index.glob("*/*/*"))
    assert remove_from_index(index, Requests(domains=("a.example",))) == len(first) - 2
    assert all(not len(load_npy(p)) for p in index.glob("*/*/*.documents.npy"))


def test_a_removal_that_was_cut_short_is_completed(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = tmp_path / "index"
    add(index, made / "one", InProcess())
    requests = Requests(urls=("http://a.example/5",))
    with monkeypatch.context() as patch:
        patch.setattr("dedup.index.write_part", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            remove_from_index(index, requests)
    assert remove_documents(index, lambda batch: requests.of(batch).is_valid().to_numpy(zero_copy_only=False)) == 1
    assert len(dict(minhashes(index))) == 24


def test_copies_count_those_of_the_run_beside_an_index(tmp_path: Path) -> None:
    """Near pairs, half of them met before: what stays says how many left for it."""
    rng = random.Random(8)
    pages = [random_words(rng, 60) for _ in range(30)]
    rows = [
        {"url": f"https://{name}.example/{i}", "text": " ".join(page)}
        for i, original in enumerate(pages)
        for name, page in (("a", original), ("b", edited(rng, original, 1)))
    ]
    add(tmp_path / "index", make_run(tmp_path / "one", rows[:30]), InProcess())
    run = make_run(tmp_path / "two", rows, with_index(tmp_path / "index"))
    shards = [row for path in sorted(run.glob("shards/*/*.arrow")) for row in read_table(path).to_pylist()]
    assert len(shards) == 15
    assert [row["copies"] for row in shards] == [1] * 15
    assert verify_run(run)[1] == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")
def test_a_stored_array_with_a_broken_header_is_damage(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(4))
    whole = (tmp_path / "a.npy").read_bytes()
    for at in range(10, 80):
        for byte in b"('\"\\\n\xff0":
            (tmp_path / "a.npy").write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
            with suppress(RunError):  # and nothing else
                load_npy(tmp_path / "a.npy")


def test_an_index_at_a_url_is_refused() -> None:
    with pytest.raises(UserError, match=r"^s3://bucket/index: is a URL, where a path on this disk is needed"):
        read_parts(Path("s3://bucket/index"))
