from pathlib import Path

import pytest
from case_run import copy_case, run_case


def test_utf_16_without_a_mark_is_read_in_russian_and_arabic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("28", tmp_path))
    texts = run_case(tmp_path).texts()
    assert {url.rpartition("/")[2] for url in texts} == {"declared", "undeclared", "arabic"}
    for url, text in texts.items():
        assert not any(c < " " and c != "\n" for c in text)
        letters = [c for c in text if c.isalpha() and c > "\x7f"]
        low, high = ("\u0600", "\u06ff") if url.endswith("arabic") else ("\u0400", "\u04ff")
        assert len(letters) > 200
        assert all(low <= c <= high for c in letters)
