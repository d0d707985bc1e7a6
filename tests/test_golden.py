"""Ten records through `refinedweb`, and what became of them, to the last metric.

`make golden` writes `golden.json` anew; the change is then read as a diff, in the commit that changes the behaviour.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from crawl import SENTENCES, Crawl, article

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.report.build import summary
from pipelines.report.model import to_json
from pipelines.run.opening import open_run
from shards.sink import open_arrow

GOLDEN = Path(__file__).with_name("golden.json")
RUSSIAN = "Мельница стоит у реки и уже триста лет мелет зерно всей долины. Осенью крестьяне везут сюда пшеницу. " * 4
CHINESE = "磨坊立在河边，三百年来一直为山谷里的人家磨面。每年秋天，农民把麦子送到这里，磨坊主用铁秤一一称过。" * 4


def ten_records(path: Path) -> Path:
    near = [sentence.replace("iron scales", "old scales") for sentence in SENTENCES]
    crawl = (
        Crawl()
        .page("https://example.org/kept", article("Kept"))
        .page("https://mirror.example/near", article("Near", near))
        .page("https://www.reddit.com/r/mills", article("Curated"))
        .page("https://example.org/gone", article("Gone"), status="404 Not Found")
        .page("https://example.org/data.json", '{"key": 1}', content_type="application/json")
        .page("https://example.org/ru", article("Мельница", [RUSSIAN]))
        .page("https://example.org/zh", article("磨坊", [CHINESE]))
        .page("https://example.org/short", article("Short", SENTENCES[:2]))
        .page("https://example.org/repeats", article("Repeats", [SENTENCES[0]] * 12))
        .page("https://example.org/empty", "<html><body></body></html>")
    )
    return crawl.write(path)


def outcome(folder: Path) -> dict[str, Any]:
    """The ledger and the shard as readable rows, floats to nine digits, and the counts."""
    (ledger,), (shard,) = folder.glob("ledger/*.arrow"), folder.glob("shards/*/*.arrow")
    rows = [
        {k: round(v, 9) if isinstance(v, float) else v for k, v in row.items() if v is not None}
        for row in open_arrow(ledger).read_all().to_pylist()
    ]
    return {
        "ledger": rows,
        "shard": open_arrow(shard).read_all().to_pylist(),
        "summary": json.loads(to_json(summary(folder))),
    }


def test_ten_records_end_as_they_did(tmp_path: Path, language_model: Path, pytestconfig: pytest.Config) -> None:
    warc = ten_records(tmp_path / "ten.warc.gz")
    recipe = load_recipe("refinedweb", [f"source.paths={warc}", f"language.model={language_model}"])
    execute(open_run(recipe, tmp_path / "run"), InProcess(), lambda _: None)
    found = json.loads(json.dumps(outcome(tmp_path / "run"), ensure_ascii=False))
    if pytestconfig.getoption("--golden"):
        GOLDEN.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    assert found == json.loads(GOLDEN.read_text(encoding="utf-8"))
