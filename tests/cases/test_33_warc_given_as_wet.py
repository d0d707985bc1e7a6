from pathlib import Path

import pytest
from case_run import copy_case, run_case

from shards.errors import RunError


def test_a_warc_file_of_kind_wet_gives_one_line_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy_case("33", tmp_path))
    with pytest.raises(RunError) as raised:
        run_case(tmp_path)
    assert str(raised.value) == (
        'x.warc.gz: offset 0: holds pages (WARC), and the source is of kind "wet"; set kind = "warc" and add a stage '
        'of kind "extract"; no document could be read'
    )
