"""Data sets of the Hub, by its own client, from a server that answers as the Hub does."""

import json
from collections.abc import Iterator

import pytest
from http_server import Site, serving

from shards.errors import UserError
from shards.storage import find_inputs, open_input

COMMIT = "f" * 40
FILES = {
    "README.md": b"x",
    "en/a b.jsonl": b'{"text": "a"}\n',
    "en/b.jsonl": b'{"text": "b"}\n',
    "de/c.jsonl": b"{}",
    ".x/d.jsonl": b"",
}
TREE = [{"type": "file", "path": name, "size": len(data), "oid": "0" * 40} for name, data in FILES.items()]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    api = "/api/datasets/mill/texts"
    info = {"id": "mill/texts", "sha": COMMIT, "siblings": []}
    answers = {f"{api}/revision/{name}": json.dumps(info).encode() for name in ("main", "v1")}
    answers[f"{api}/tree/{COMMIT}"] = json.dumps([{"type": "directory", "path": "en", "oid": "0"}, *TREE]).encode()
    answers |= {f"/datasets/mill/texts/resolve/{COMMIT}/{name}": data for name, data in FILES.items()}
    with serving(answers, headers={"Content-Type": "application/json"}) as site:
        monkeypatch.setenv("HF_ENDPOINT", site.url)
        yield site


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("", ["de/c.jsonl", "en/a b.jsonl", "en/b.jsonl"]),
        ("/en/", ["en/a b.jsonl", "en/b.jsonl"]),
        ("@v1/en/b.jsonl", ["en/b.jsonl"]),
        ("/*/?.jsonl", ["de/c.jsonl", "en/b.jsonl"]),
    ],
)
def test_files_of_a_data_set(hub: Site, path: str, names: list[str]) -> None:
    files = find_inputs([f"hf://datasets/mill/texts{path}"], (".jsonl",), "source.web.paths")
    assert [file.name for file in files] == names
    for file in files:
        with open_input(file) as stream:
            assert stream.read() == FILES[file.name]
        assert f"/resolve/{COMMIT}/" in file.path


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("hf://datasets/mill/texts/fr", "no file of the data set is named so"),
        ("hf://datasets/mill/other", "the Hub answers"),
        ("hf://mill/texts", "expected hf://datasets/OWNER/NAME"),
    ],
)
def test_what_is_not_there_is_one_line(hub: Site, address: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        find_inputs([address], (".jsonl",), "source.web.paths")
