"""Page state that is no plain JSON holds the text of pages whose body is empty."""

from pathlib import Path

import pytest
from case_run import copy_case, run_case

FIRST, LAST = "The council decided on Tuesday evening", "the report of the engineers is expected."


def test_the_three_paragraphs_are_found_in_each_kind_of_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("17", tmp_path))
    texts = run_case(tmp_path).texts()
    assert sorted(url.rsplit("/", 1)[1] for url in texts) == [
        "angular", "flight", "flight-text", "literal", "nuxt2", "undefined", "uri"
    ]  # fmt: skip
    for url, text in texts.items():
        paragraphs = text.removeprefix("Pool stays open\n").removesuffix(" Read on").split("\n")
        assert len(paragraphs) == 3, url
        assert paragraphs[0].startswith(FIRST)
        assert paragraphs[2].endswith(LAST)
