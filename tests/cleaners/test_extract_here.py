"""The stage `extract` with our own engine."""

import json
import os
import random
import re
from pathlib import Path

import pyarrow as pa
import pytest
from command import gristmill
from crawl import SENTENCES, Crawl, article, sentences

from cleaners.extract import METADATA, OWN_METRICS, ExtractConfig, ExtractHere
from cleaners.extraction.model import SHIPPED, model_path
from pipelines.executors import InProcess, ProcessPool
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.run.opening import open_run
from shards.errors import UserError
from shards.sink import open_arrow, read_table
from tests.cleaners.test_extract import batch


def config(**settings: object) -> ExtractConfig:
    return ExtractConfig.parse({"engine": "gristmill", **settings}, "test")


def test_rows_come_in_order_with_metrics() -> None:
    stage = config().build()
    assert isinstance(stage, ExtractHere)
    done = stage(batch(article("One"), None, "", article("Three", SENTENCES[:5]), texts=["", "given", "", ""]))
    texts = done["text"].to_pylist()
    assert [SENTENCES[0] in text for text in texts] == [True, False, False, True]
    assert texts[1:3] == ["given", ""]
    assert done["extract.killed"].to_pylist() == done["extract.failed"].to_pylist() == [0, None, 0, 0]
    assert done["extract.num_chars"].to_pylist() == [len(text) for text in texts]
    assert done["extract.num_blocks"].to_pylist()[1:3] == [None, 0]
    assert all(0 < done["extract.expected_f1"][i].as_py() <= 1 for i in (0, 3))
    assert {f"extract.{name}" for name in OWN_METRICS} <= set(done.schema.names)


def test_bombs_are_refused_as_with_every_engine() -> None:
    done = config(max_elements=1000).build()(batch("<b>x</b>" * 2000, "<div>" * 600 + "x", article("One")))
    assert done["extract.num_elements"].to_pylist()[0] == 2000
    assert done["text"].to_pylist()[:2] == [None, None]
    assert SENTENCES[0] in done["text"][2].as_py()


def test_bytes_that_are_not_text_do_no_harm() -> None:
    lone = b"\xff\xfe" + "<p>".encode("utf-16-le") + b"\x00\xd8x\x00"
    pages = [lone, b"\xed\xa0\x80<p>x", bytes(range(256)) * 20, b"<p>\xff\xfe\xfd", article("One").encode("utf-16")]
    done = config().build()(batch(*pages))
    assert done["extract.failed"].to_pylist() == [0] * 5
    assert SENTENCES[0] in done["text"][4].as_py()
    assert all(text.encode().decode() == text for text in done["text"].to_pylist())


def test_pages_whose_bytes_are_not_their_text_in_utf8_are_read() -> None:
    patched = article("One").encode().replace(b"</p>", " Größe, naïve ".encode() + b"caf\xe9.</p>", 1)
    done = config().build()(batch(patched, article("One").replace("corn", "co\0rn")))
    assert "Größe, naïve café." in done["text"][0].as_py()
    assert SENTENCES[0] in done["text"][1].as_py()


def test_metadata_has_columns_of_its_own() -> None:
    page = (
        '<html lang=de><meta name=author content="A. B."><link rel=canonical href="/c"><title>T</title><p>x'
        "<meta property=og:site_name content=Mill>"
    )
    done = config(metadata=True).build()(batch(page))
    values = [done[name][0].as_py() for name in METADATA.names]
    assert values == ["T", None, "A. B.", "Mill", "https://example.org/c", "de"]
    assert ExtractConfig(metadata=True).carried().names == ["title", "page_date"]


def test_large_batches_are_extracted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [article(f"Page {n}") for n in range(7)]
    whole = config().build()(batch(*pages))
    monkeypatch.setattr("cleaners.extract._CHUNK_BYTES", 3000)
    assert config().build()(batch(*pages)).equals(whole)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "trafilatura", "markdown": True}, "markdown: only the engine gristmill has it"),
        ({"engine": "resiliparse", "model": "permissive"}, "model: only the engine gristmill has it"),
        ({"engine": "resiliparse", "links": True, "comments": True}, "comments, links: only the engine gristmill"),
    ],
)
def test_options_of_another_engine_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ExtractConfig.parse(settings, "test")


def test_the_model_is_part_of_the_fingerprint() -> None:
    assert config().digests()["extract.engine"].startswith("gristmill-2-")
    assert config(model="permissive").digests()["extract.engine"].startswith("permissive-2-")
    assert ExtractConfig().digests() == {}
    assert pa.types.is_float64(config().columns().field("extract.expected_f1").type)


def test_a_model_that_is_none_is_refused_before_the_run(tmp_path: Path) -> None:
    path = tmp_path / "mine-2-00000000.npz"
    with pytest.raises(UserError, match=f"{path}: no such model"):
        config(model=str(path)).digests()
    path.write_bytes(b"x")
    with pytest.raises(UserError, match=f"{path}: is no model of the extractor"):
        config(model=str(path)).digests()


def test_both_shipped_models_find_the_text() -> None:
    for model in SHIPPED:
        done = config(model=model).build()(batch(article("One")))
        assert SENTENCES[0] in done["text"][0].as_py()


def test_dates_of_pages_end_with_the_day_of_their_record() -> None:
    page = '<meta name=date content="2020-05-06"><p>x'
    pages = batch(page, page, page)
    days = pa.array(["2020-05-06T10:00:00Z", "2020-05-05T23:59:59Z", None])
    pages = pages.set_column(pages.schema.get_field_index("date"), "date", days)
    assert config(metadata=True).build()(pages)["page_date"].to_pylist() == ["2020-05-06", None, None]


def test_the_day_of_a_page_may_be_tomorrow_where_it_was_written() -> None:
    page = '<meta name=date content="2020-05-06T08:00:00+09:00"><p>x'
    pages = batch(page, page)
    days = pa.array(["2020-05-05T23:30:00Z", "2020-05-04T23:30:00Z"])
    pages = pages.set_column(pages.schema.get_field_index("date"), "date", days)
    assert config(metadata=True).build()(pages)["page_date"].to_pylist() == ["2020-05-06", None]


def test_line_ends_and_addresses_are_tidied_as_with_every_engine() -> None:
    code = "<pre>" + "\n".join(SENTENCES[:4]) + "\n\n\n\nsee https://a.example/x here\n" + SENTENCES[4] + "</pre>"
    (text,) = (
        config(markdown=True).build()(batch(f"<main><article><h1>T</h1>{code}</article></main>"))["text"].to_pylist()
    )
    assert "\n\n\n" not in text
    assert "https://" not in text
    (text,) = config(markdown=True, remove_urls=False).build()(batch(f"<main>{code}</main>"))["text"].to_pylist()
    assert "https://a.example/x" in text


@pytest.mark.slow
@pytest.mark.usefixtures("language_model")
def test_a_run_of_the_recipe_is_the_same_with_any_workers(tmp_path: Path) -> None:
    words = re.findall(r"\w+", " ".join(SENTENCES).lower())
    for part in range(3):
        crawl = Crawl()
        for n in range(8):
            draw = random.Random(8 * part + n)
            lines = [" ".join(draw.sample(words, 14)).capitalize() + "." for _ in range(12)]
            crawl.page(
                f"https://host{n}.example/{part}", article(f"Page {part}.{n}", lines), record_id=f"<urn:{part}:{n}>"
            )
        crawl.page(f"https://short.example/{part}", "<p>Short.", record_id=f"<urn:{part}>").write(
            tmp_path / f"crawl/{part}.warc.gz"
        )
    runs = []
    for name, executor in (("here", InProcess()), ("one", ProcessPool(1)), ("two", ProcessPool(2))):
        run = open_run(load_recipe("gristmill", [f'source.paths="{tmp_path / "crawl"}"']), tmp_path / name)
        execute(run, executor, lambda _: None)
        files = [
            p for p in sorted((tmp_path / name).rglob("*")) if p.is_file() and p.name not in ("seconds.json", ".lock")
        ]
        runs.append({str(p.relative_to(tmp_path / name)): p.read_bytes() for p in files})
    assert runs[0] == runs[1] == runs[2]
    shards = sorted((tmp_path / "two/shards").rglob("*.arrow"))
    texts = [row["text"] for p in shards for row in open_arrow(p).read_all().to_pylist()]
    assert len(texts) == 24
    assert not any("Imprint" in text or "Shop" in text for text in texts)
    manifests = b"".join(data for name, data in runs[0].items() if name.endswith(".json"))
    assert model_path().stem.encode() in manifests, "what the run depends on"


# Put into every process of a run: the engine of a page with this word is killed, as by a fault in native code.
POISON = """
import os, signal, sys
from importlib.util import find_spec

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name != "cleaners.extraction.engine":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        load = spec.loader.exec_module

        def load_and_replace(module):
            load(module)
            extract = module.extract

            def dies(pages, *more):
                if any(b"poison" in page for page in pages):
                    os.kill(os.getpid(), signal.SIGKILL)
                return extract(pages, *more)

            module.extract = dies

        spec.loader.exec_module = load_and_replace
        return spec

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.slow
def test_a_page_that_kills_the_worker_is_named_and_dropped_and_the_others_are_as_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inject").mkdir()
    (tmp_path / "inject" / "sitecustomize.py").write_text(POISON)
    pages = [article(f"Page {i}", sentences(i)) for i in range(30)]
    for name in ("healthy", "poisoned"):
        crawl = Crawl()
        for i, page in enumerate(pages):
            crawl.page(f"https://e.org/{i}", page.replace("Home", "poison") if (name, i) == ("poisoned", 17) else page)
        crawl.write(tmp_path / name / "a.warc.gz")
    recipe = tmp_path / "mill.toml"
    recipe.write_text(
        '[source.web]\nkind = "warc"\n\n[[stage]]\nkind = "page"\n\n[[stage]]\nkind = "extract"\nengine = "gristmill"\n'
    )

    def run(name: str, *options: str) -> tuple[str, dict[str, str]]:
        out = tmp_path / f"run-{name}{''.join(options)}"
        done = gristmill("run", recipe, "--set", f"source.paths={tmp_path / name}", "--out", out, *options)
        assert done.returncode == 0, done.stderr
        (shard,) = out.glob("shards/web/*.arrow")
        return done.stdout + done.stderr, dict(
            zip(*(read_table(shard)[n].to_pylist() for n in ("url", "text")), strict=True)
        )

    _, healthy = run("healthy")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "inject"), str(Path(__file__).parents[2])]))
    said, poisoned = run("poisoned", "--workers=2")
    assert "its task runs again" in said
    assert poisoned == {url: text for url, text in healthy.items() if url != "https://e.org/17"}
    (entry,) = map(json.loads, (tmp_path / "run-poisoned--workers=2" / "kills.jsonl").read_text().splitlines())
    assert entry["url"] == "https://e.org/17"
    assert (entry["reason"], entry["cause"]) == ("extract.killed", "memory")
