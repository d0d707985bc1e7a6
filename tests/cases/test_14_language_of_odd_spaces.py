"""English is seen as English with no-break spaces, zero-width spaces and in capitals."""

from pathlib import Path

import pytest
from case_run import copy_case, run_case


@pytest.mark.usefixtures("language_model")
def test_all_seven_documents_are_kept_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("14", tmp_path))
    run = run_case(tmp_path)
    assert run.dropped() == {}
    assert {row["language"] for row in run.rows()} == {"en"}
    texts = run.texts()
    assert len(texts) == 7
    assert "\u200b" in texts["http://site-a.example/zero-width"]
    assert texts["http://site-a.example/upper"].isupper()
