import subprocess
from pathlib import Path

import pytest

from cleaners.assets.pypi_file import downloaded_wheel
from shards.errors import RunError


def test_a_wheel_exists_for_the_length_of_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave_a_wheel(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        folder, requirement = command[-2:]
        (Path(folder) / f"{requirement}.whl").write_bytes(b"wheel")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", leave_a_wheel)
    with downloaded_wheel("it==1") as wheel:
        assert (wheel.name, wheel.read_bytes()) == ("it==1.whl", b"wheel")
    assert not wheel.parent.exists()


def test_the_error_of_pip_is_reported_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess("pip", 1, "", "ERROR: no\n  such thing\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with (
        pytest.raises(RunError, match=r"^pip could not download it==1: ERROR: no such thing$"),
        downloaded_wheel("it==1"),
    ):
        pass
