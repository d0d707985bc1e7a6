"""What is fuzzed: a function of bytes for each reader, and small inputs of our own to begin with.

A target returns, or fails an assertion: any other error is a bug. Errors that a reader is to raise for broken input are
taken in the target.
"""

import gzip
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from crawl import RECIPE, Crawl, article

from cleaners.crawl import heads, media_type
from cleaners.crawl.bodies import MAX_BODY, undo_encodings
from cleaners.crawl.charset import decode
from cleaners.crawl.warc import WarcReader
from shards.address import requested_url
from shards.errors import GristmillError
from shards.index_rows import read_index
from shards.reader import Reader
from shards.row_reader import RowReader
from shards.sink import ArrowSink, read_batches
from shards.source import SourceConfig
from shards.storage import InputFile


@dataclass(frozen=True)
class Target:
    read: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


def _page(url: str = "https://example.org/a", **about: str) -> bytes:
    return Crawl().page(url, article("The mill"), **about).data


def _framing(data: bytes) -> None:
    """Of a file with a broken part, both records around it are found, unless the part is no gzip or swallows one."""
    before, after = _page("https://example.org/before"), _page("https://example.org/after")
    rows = _rows(WarcReader("web", _file("a.warc.gz", before + data + after), 0))
    urls = [row["url"] for row in rows]
    assert urls[:1] == ["https://example.org/before"]
    assert "https://example.org/after" in urls


def _plain_framing(data: bytes) -> None:
    for name in ("a.warc", "a.arc"):
        _rows(WarcReader("web", _file(name, data), 0))
        _rows(WarcReader("web", _file(name, data), 0, "wet"))


def _arc_seeds() -> list[bytes]:
    body = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>x</p>"
    about = b"1 0 Mill\nURL IP-address Archive-date Content-type Archive-length\n"
    return [
        b"filedesc://a.arc 0.0.0.0 20050101000000 text/plain %d\n%s\n" % (len(about), about)
        + b"http://example.org/ 192.0.2.1 20050101000000 text/html %d\n%s\n" % (len(body), body)
    ]


def _heads(data: bytes) -> None:
    head, end = heads.split(data)
    assert 0 <= end <= len(data)
    assert bool(head) or end == 0
    media_type.extract(data.decode("latin-1"))
    with suppress(ValueError):
        requested_url(data.decode("utf-8", "replace"))


_ENCODINGS = ("gzip", "br", "zstd", "deflate", "gzip, br", "")


def _bodies(data: bytes) -> None:
    for encoding in _ENCODINGS:
        for transfer in ("", "chunked"):
            body, _ = undo_encodings(data, transfer, encoding)
            assert len(body) <= 2 * MAX_BODY


def _body_seeds() -> list[bytes]:
    import brotli
    import zstandard

    text = article("The mill").encode()
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(text), text)
    return [gzip.compress(text, mtime=0), brotli.compress(text), zstandard.compress(text), chunked, text]


def _charset(data: bytes) -> None:
    label, _, payload = data.partition(b"\n")
    decode(payload, label.decode("latin-1")).text.encode()


@cache
def _model() -> object:
    from cleaners.extraction.model import load_model, model_path

    return load_model(model_path())


def _html(data: bytes) -> None:
    from cleaners.extraction.engine import Options, declared, extract

    page = data.decode("utf-8", "replace").encode()
    for options in (Options(), Options(markdown=True)):
        (found,) = extract([page], options, _model())  # type: ignore[arg-type]
        found.text.encode()
    declared(page, "https://example.org/", "2024-01-01")


def _html_seeds() -> list[bytes]:
    table = (
        "<table><tr><td>a<td>b<tr><th colspan=9>c</table><ul><li>x<li>y</ul><pre>\n  z\n</pre><math><mi>x</mi></math>"
    )
    script = '<script type="application/ld+json">{"@type": "Article", "articleBody": "A text of the mill."}</script>'
    return [article("The mill").encode(), article("Tables").replace("</h1>", "</h1>" + table + script).encode()]


def _recipe(data: bytes) -> None:
    from pipelines.recipe import load_recipe

    path = _written("recipe.toml", data)
    with suppress(GristmillError):
        load_recipe(str(path)).passes()


def _json_lines(data: bytes) -> None:
    _rows(RowReader(SourceConfig.parse({"kind": "jsonl"}, "source"), "web", _file("a.jsonl", data), 0))
    _rows(RowReader(SourceConfig.parse({"kind": "text"}, "source"), "web", _file("a.txt", data), 0))


def _index(data: bytes) -> None:
    config = SourceConfig.parse({"kind": "index", "where": {"status": 200}}, "source")
    with suppress(GristmillError):
        for rows, _ in read_index(config, _file("index", data)):
            rows.validate(full=True)


def _index_seeds() -> list[bytes]:
    row = {"filename": "a.warc.gz", "offset": "7", "length": "100", "url": "https://example.org/", "status": 200}
    line = json.dumps(row).encode()
    head = "warc_filename,warc_record_offset,warc_record_length,url,status"
    return [line + b"\n" + line, b"org,example)/ 20240101000000 " + line, f"{head}\na,1,2,u,200\n".encode()]


def _tokens(data: bytes) -> None:
    from shards.token_manifest import read_token_manifest

    folder = _written("manifest.json", data).parent
    with suppress(GristmillError):
        read_token_manifest(folder)


def _token_seeds() -> list[bytes]:
    from token_folder import write_token_folder

    with tempfile.TemporaryDirectory() as folder:
        return [(write_token_folder(Path(folder)) / "manifest.json").read_bytes()]


def _plan(data: bytes) -> None:
    from pretrain.order.plan_file import read_arrays

    with suppress(GristmillError):
        read_arrays(_written("plan.bin", data))


def _plan_seeds() -> list[bytes]:
    from pretrain.order.plan_file import write_arrays

    write_arrays(_folder() / "plan.bin", {"key": 1}, {"first": np.arange(9), "last": np.zeros(3, np.int32)})
    return [(_folder() / "plan.bin").read_bytes()]


def _shard(data: bytes) -> None:
    config = SourceConfig.parse({"kind": "shards"}, "source")
    _rows(RowReader(config, "web", _file("a.arrow", data), 0))


def _ledger(data: bytes) -> None:
    """A run's own files are proved by their checksums (`verify`): a changed one need not be noticed as it is read."""
    with suppress(GristmillError, pa.ArrowInvalid):
        for batch in read_batches(_written("ledger.arrow", data)):
            batch.validate(full=True)


def _table_seeds() -> list[bytes]:
    rows = [{"id": f"{i:032x}", "text": f"text {i}", "url": "u", "number": i, "reasons": ["a.b"]} for i in range(40)]
    table = pa.Table.from_pylist(rows)
    with ArrowSink(_folder() / "seed.arrow", table.schema) as sink:
        for batch in table.to_batches():
            sink.write(batch)
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    return [(_folder() / "seed.arrow").read_bytes(), stream.getvalue()]


def _parquet(data: bytes) -> None:
    _rows(RowReader(SourceConfig.parse({"kind": "parquet"}, "source"), "web", _file("a.parquet", data), 0))


def _parquet_seeds() -> list[bytes]:
    out = io.BytesIO()
    pq.write_table(pa.table({"text": [f"text {i}" for i in range(40)], "id": list(range(40))}), out, row_group_size=10)
    return [out.getvalue()]


TARGETS = {
    "framing": Target(_framing, lambda: [_page(), _page(kind="resource")]),
    "plain_framing": Target(
        _plain_framing, lambda: [gzip.decompress(_page()), Crawl(gzip=False).other("request").data, *_arc_seeds()]
    ),
    "heads": Target(_heads, lambda: [b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nA: b\r\n\r\n<p>"]),
    "bodies": Target(_bodies, _body_seeds),
    "charset": Target(_charset, lambda: [b"gb2312\n" + "<meta charset=gbk>水车".encode("gbk"), b"\n\xff\xfea\0b\0"]),
    "html": Target(_html, _html_seeds),
    "recipe": Target(_recipe, lambda: [RECIPE.encode()]),
    "json_lines": Target(_json_lines, lambda: [b'{"id": 1, "text": "a"}\n[{"text": "\\ud800"},\n', b'{"a": [[[]]]}\n']),
    "index": Target(_index, _index_seeds),
    "tokens": Target(_tokens, _token_seeds),
    "plan": Target(_plan, _plan_seeds),
    "parquet": Target(_parquet, _parquet_seeds),
    "shard": Target(_shard, _table_seeds),
    "ledger": Target(_ledger, _table_seeds),
}

# Arrow trusts the metadata of its own files and may crash on changed ones: these are tried in processes that may die.
IN_ARROW = ("shard", "ledger")


def _rows(reader: Reader) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for batch in reader:
        batch.validate(full=True)
        rows += batch.to_pylist()
    assert all(place.cause for place in reader.damage)
    return rows


@cache
def _folder() -> Path:
    """A folder of this process, in memory where the machine has such a disk."""
    memory = Path("/dev/shm")
    folder = tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory if os.access(memory, os.W_OK) else None)
    _kept.append(folder)
    return Path(folder.name)


_kept: list[object] = []  # folders are removed when the process ends


def _written(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def _file(name: str, data: bytes) -> InputFile:
    return InputFile(str(_written(name, data)), name, len(data))


def kept_inputs(name: str) -> Iterator[bytes]:
    """Inputs that once broke the target."""
    for path in sorted((Path(__file__).parent / "corpus").glob(f"{name}-*")):
        yield path.read_bytes()
