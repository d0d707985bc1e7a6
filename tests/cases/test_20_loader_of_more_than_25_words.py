"""A notice that the story is being loaded gives way to the story in a script."""

from pathlib import Path

import pytest
from case_run import copy_case, run_case


def test_the_story_is_kept_and_not_the_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("20", tmp_path))
    (text,) = run_case(tmp_path).texts().values()
    assert [line.split()[1] for line in text.split("\n")] == ["council", "old", "small"]
