"""Real pages in UTF-8 and the cases of html5lib, for the tests of extraction."""

import json
import re
import tarfile
from pathlib import Path
from typing import Any

from cleaners.crawl.charset import decode
from cleaners.crawl.warc import WarcReader
from shards.storage import find_inputs


def real_pages(folder: Path, part: int, number: int) -> list[bytes]:
    """The first `number` pages of crawl/part-0<part>."""
    (file,) = find_inputs([str(folder / f"crawl/part-0{part}.warc.gz")], (), "x")
    rows = (row for row in WarcReader("x", file, 0).rows() if row["payload"])
    return [
        decode(bytes(row["payload"]), row["http_charset"]).text.encode("utf-8", "replace")
        for row, _ in zip(rows, range(number), strict=False)
    ]


def html5lib_tokenizer_cases(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """(kind of test, case) of all cases in all files; "doubleEscaped" strings are unescaped."""
    with tarfile.open(folder / "malformed" / "html5lib-tests.tar.gz") as archive:
        files = [m for m in archive.getmembers() if "/tokenizer/" in m.name and m.name.endswith(".test")]
        loaded = [json.loads(archive.extractfile(file).read()) for file in files]  # type: ignore[union-attr]
    cases = [(kind, case) for file in loaded for kind, group in file.items() for case in group]
    for _, case in cases:
        if case.get("doubleEscaped"):
            case["input"] = re.sub(r"\\u([0-9A-Fa-f]{4})", lambda m: chr(int(m[1], 16)), case["input"])
            case["output"] = json.loads(re.sub(r"\\\\u", r"\\u", json.dumps(case["output"])))
    return cases
