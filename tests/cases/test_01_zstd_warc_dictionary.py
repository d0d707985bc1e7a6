from pathlib import Path

import pytest
from case_run import copy_case, run_case


@pytest.mark.parametrize("files", ["raw", "compressed", "skip"])
def test_a_zstd_file_with_a_dictionary_or_another_skippable_frame_first_gives_its_three_pages(
    files: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy_case("01", tmp_path))
    assert sorted(run_case(tmp_path, f"source.web.paths={files}").texts()) == [
        f"http://site-a.example/{page}" for page in "abc"
    ]
