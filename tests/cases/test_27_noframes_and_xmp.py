"""Elements whose text is raw: noframes is all the text of a page with frames, and browsers show xmp."""

from pathlib import Path

import pytest
from case_run import copy_case, run_case


def test_noframes_and_xmp_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("27", tmp_path))
    texts = {url.rsplit("/", 1)[1]: text.split("\n") for url, text in run_case(tmp_path).texts().items()}
    assert [line.split()[0] for line in texts["frames"]] == ["Pool", "The", "The"]
    listing = texts["xmp"].index("if a < b:")
    assert texts["xmp"][listing + 1] == '    print("the stone falls for three seconds")'
    assert texts["xmp"][listing - 1].startswith("This lesson")
    assert texts["xmp"][listing + 2].startswith("Everybody")
