"""Versions, sections and files stay; international and full-width addresses and numbers are replaced."""

import json
from pathlib import Path

import pytest
from case_run import copy_case, run_case


def test_what_is_no_personal_data_stays_and_what_is_some_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy_case("23", tmp_path))
    given = {row["url"]: row["text"] for row in map(json.loads, Path("in/docs.jsonl").read_bytes().splitlines())}
    texts = {url.rpartition("/")[2]: text for url, text in run_case(tmp_path).texts().items()}
    for name in ("version", "section", "zh", "files"):
        assert texts[name] == given[f"http://site-a.example/{name}"]
    one, other = "email@example.com", "firstname.lastname@example.org"
    assert texts["unicode"] == f"Write to {one}, {other}, {one} or {other}."
    assert texts["wide"] == f"邮箱：{one}，电话：[PHONE]，[PHONE]。"
    assert texts["real"] == f"The server is 192.0.2.1 and the address {one}."
