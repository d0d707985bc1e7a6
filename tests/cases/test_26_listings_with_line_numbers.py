"""Listings of five programs that colour code."""

from pathlib import Path

import pytest
from case_run import copy_case, run_case


@pytest.mark.parametrize("settings", [(), ("extract.markdown=true",)])
def test_listings_have_no_line_numbers_and_keep_their_indent(
    settings: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy_case("26", tmp_path))
    texts = run_case(tmp_path, *settings).texts()
    assert len(texts) == 5
    for text in texts.values():
        assert "\nif a:\n    b()\n" in text
        assert not any(line.strip() in ("1", "2") for line in text.splitlines())
