"""Progress is a bar on a terminal, and plain lines elsewhere."""

import os
import pty
import subprocess
import sys
import time

import pytest

from pipelines import progress
from pipelines.progress import Progress, ProgressDisplay

_SHOW = """
from pipelines.progress import Progress, ProgressDisplay
with ProgressDisplay() as display:
    display(Progress("pass 0", 0, 0, 0, 0, 4_000_000))
    display(Progress("pass 0", 1, 50, 20, 2_000_000, 4_000_000))
print("done")
"""


def test_a_terminal_gets_a_bar_that_is_gone_at_the_end() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        [sys.executable, "-c", _SHOW], stderr=theirs, stdout=subprocess.PIPE, env=environment
    ) as done:
        os.close(theirs)
        written = b""
        try:
            while part := os.read(ours, 1 << 16):
                written += part
        except OSError:  # EIO, as Linux ends a terminal that nobody holds open
            pass
        os.close(ours)
    assert done.returncode == 0
    text = written.decode()
    assert "pass 0" in text
    assert "50 pages in, 20 kept" in text
    assert "2.0 MB of 4.0 MB" in text
    assert "\x1b[2K" in text, "the last line of the bar is erased"


def test_elsewhere_each_phase_begins_and_ends_with_a_plain_line() -> None:
    done = subprocess.run([sys.executable, "-c", _SHOW], capture_output=True, text=True, check=True)
    assert done.stderr == "pass 0: 0% of 4.0 MB\n"
    assert done.stdout == "done\n"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_lines_have_the_share_the_rate_and_the_time_left(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with ProgressDisplay() as display:
        for seconds, documents, num_bytes in ((0, 0, 0), (5, 40, 400), (10, 80, 1000), (11, 90, 1100), (40, 400, 4000)):
            clock[0] = 100 + seconds
            display(Progress("pass 0", 0, documents, documents // 2, num_bytes, 4000))
        display(Progress("finish", 0, 0, 0, 0, 0))
    assert capsys.readouterr().err.splitlines() == [
        "pass 0: 0% of 4.0 kB",
        "pass 0: 25% of 4.0 kB, 80 pages in, 40 kept, 8.0 pages/s, 30 s left",
        "pass 0: 100% of 4.0 kB, 400 pages in, 200 kept, 10.0 pages/s",
        "finish: started",
    ]
    assert progress._SECONDS_A_LINE == 10.0


def test_documents_of_an_interrupted_run_do_not_count_for_the_rate(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with ProgressDisplay() as display:
        display(Progress("pass 0", 5, 1000, 500, 2000, 4000))
        clock[0] += 10
        display(Progress("pass 0", 6, 1100, 550, 3000, 4000))
    assert capsys.readouterr().err.splitlines()[-1].endswith("1,100 pages in, 550 kept, 10.0 pages/s, 3 s left")


def test_the_end_of_a_phase_is_said_once(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressDisplay() as display:
        for _ in range(3):
            display(Progress("pass 0", 2, 8, 6, 4000, 4000))
        display(Progress("pass 1", 2, 6, 6, 4000, 4000))
    assert capsys.readouterr().err.splitlines() == [
        "pass 0: 100% of 4.0 kB, 8 pages in, 6 kept",
        "pass 1: 100% of 4.0 kB, 6 pages in, 6 kept",
    ]


@pytest.mark.parametrize("closing", ["2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_progress_without_a_standard_error_is_none(closing: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closing}', "sh", sys.executable, "-c", _SHOW], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
