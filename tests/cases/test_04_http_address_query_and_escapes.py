"""Addresses as they are copied from a browser."""

from pathlib import Path
from urllib.parse import quote

import pytest
from case_run import copy_case, run_case
from http_server import serving


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("one.warc.gz?download=true&sig=a%2Fb", "one.warc.gz"),
        ("a%20file.warc.gz", "a file.warc.gz"),
        ("%D0%BC%D0%B5%D0%BB%D1%8C%D0%BD%D0%B8%D1%86%D0%B0.warc.gz", "мельница.warc.gz"),
        ("мельница.warc.gz", "мельница.warc.gz"),
    ],
)
def test_an_address_is_asked_for_as_it_stands(
    address: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy_case("04", tmp_path))
    with serving({f"/{path.name}": path.read_bytes() for path in Path("in").iterdir()}) as site:
        run = run_case(tmp_path, f"source.paths={site.url}{address}")
        assert [row["warc_file"] for row in run.rows()] == [name]
        assert {*site.targets()} == {"/" + quote(address, safe="/?&=%")}


def test_another_signature_of_the_same_file_resumes_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("04", tmp_path))
    with serving({"/one.warc.gz": Path("in/one.warc.gz").read_bytes()}) as site:
        runs = [run_case(tmp_path, f"source.paths={site.url}one.warc.gz?sig={i}") for i in range(2)]
        assert runs[0].rows() == runs[1].rows()
        assert "sig=" not in (tmp_path / "out" / "report.json").read_text() + "\n".join(runs[1].lines())
