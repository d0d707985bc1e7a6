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


# Wide characters of real pages as a class of a pattern, and a line end between two of them, which is no space.
WIDE = (
    "\u2e80-\u303e\u3041-\u312f\u3190-\u31ff\u3220-\u325f\u3280-\u4dbf\u4e00-\ua4cf"
    "\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff9f\uffe0-\uffe6\U00020000-\U0003ffff"
)
_SHARED = "\u2014\u2015\u2018-\u201d\u2026"
_BREAK = r"[ \t\f]*[\r\n][ \t\r\n\f]*"
WIDE_LINE_END = re.compile(f"(?<=[{WIDE}]){_BREAK}(?=[{WIDE}{_SHARED}])|(?<=[{_SHARED}]){_BREAK}(?=[{WIDE}])")
