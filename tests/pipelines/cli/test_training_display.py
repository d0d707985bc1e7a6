"""A training on standard error: a line rewritten on a terminal, plain lines elsewhere, tables of measurements."""

import json
import os
import pty
import subprocess
import sys
import time
from typing import Any

import pytest

from pipelines.cli.training_display import TrainingDisplay, duration, start_line, step_line, tasks_line

START = {
    "step": 0, "started": "2024-05-01T00:00:00+00:00", "steps": 400, "parameters": 3_000_000, "every_s": 10.0,
    "device": "2 threads of a CPU", "num_devices": 1, "published_tflop_per_s": None, "matmul_tflop_per_s": 0.0834,
    "tflop_left": 834.0,
}  # fmt: skip
SPEED = {"tokens_per_s": 4120.4, "tflop_per_s": 0.2134, "mfu": None, "matmul_share": 0.623, "data_wait": 0.0012}
HELD_OUT = {"step": 100, "held_out_bits_per_byte": {"en": 1.5, "ru": None}}


def step(number: int, **more: Any) -> dict[str, Any]:
    losses = {"loss_by_source": {"en": 3.0, "ru": 4.0}}
    return {"step": number, "loss": 3.25, "memory_bytes": 1_900_000_000, **SPEED, **losses, **more}


def test_tasks_are_a_line_of_accuracies() -> None:
    tasks = {"arc": {"accuracy": 0.25, "standard_error": 0.0125}, "piqa": {"accuracy": 0.5, "standard_error": 0.5}}
    assert tasks_line(HELD_OUT | {"tasks": tasks}) == "accuracy: arc 0.250 ± 0.013, piqa 0.500 ± 0.500"


def test_a_line_has_loss_speed_shares_memory_time_left_and_the_loss_by_source() -> None:
    assert step_line(step(120), 400, 7800.0) == (
        "step 120 of 400: loss 3.2500, 4,120 tokens/s, 2 h 10 min left, 0.213 TFLOP/s, 62 % of a matrix product, "
        "data wait 0.1 %, 1.9 GB (en 3.000, ru 4.000)"
    )
    assert "412 TFLOP/s, MFU 41.7 %" in step_line(step(1, tflop_per_s=412.3, mfu=0.4166), 0, None)


def test_a_line_of_what_is_not_finite_says_nothing_in_its_place() -> None:
    assert step_line({"step": 3, "loss": None, "loss_by_source": {"en": None, "ru": 1.0}}, 0, None) == (
        "step 3: loss – (en –, ru 1.000)"
    )


def test_the_start_names_the_machine_and_the_step_it_goes_on_from() -> None:
    assert start_line(START) == (
        "3,000,000 parameters, 400 steps, 2 threads of a CPU (0.0834 TFLOP/s in a matrix product); training begins and "
        "takes 2 h 47 min at least"
    )
    gpus = START | {"device": "NVIDIA H200", "num_devices": 8, "published_tflop_per_s": 989.5, "step": 1000}
    assert start_line(gpus).endswith(
        "8 times NVIDIA H200 (0.0834 TFLOP/s in a matrix product, 990 TFLOP/s by its data sheet); "
        "training goes on after step 1,000 and takes 21 min at least"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (3599, "1 h 00 min"), (47 * 3600, "47 h 00 min"), (190_000, "2 d 5 h")],
)
def test_a_duration_has_the_unit_that_a_person_would_take(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_elsewhere_a_line_comes_every_so_many_seconds_and_after_the_last_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with TrainingDisplay() as display:
        display(START | {"steps": 30})
        for number in range(1, 31):
            now[0] += 1.0
            display(step(number))
    lines = capsys.readouterr().err.splitlines()[1:]
    assert [line.partition(" of ")[0] for line in lines] == ["step 1", "step 11", "step 21", "step 30"]
    assert "left" not in lines[0], "one step does not say how long steps take"
    assert "19 s left" in lines[1]
    assert "0 s left" in lines[3]


def test_a_measurement_is_a_table_and_a_sample_a_line_that_cannot_steer_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with TrainingDisplay() as display:
        display(HELD_OUT)
        display({"step": 100, "prompt": "The", "sample": " mill\x1b[2J", "seed": 0})
    *table, sample = capsys.readouterr().err.splitlines()
    assert [row.split() for row in table] == [
        "held out after step 100 bits per byte".split(),
        ["en", "1.5000"],
        ["ru", "–"],
    ]
    assert sample == "step 100: 'The' → ' mill\\x1b[2J'"


_SHOW = """
import json, logging, sys
from pipelines.cli.training_display import TrainingDisplay
with TrainingDisplay() as display:
    for record in json.loads(sys.argv[1]):
        display._last_shown = 0
        display(record)
    logging.getLogger("x").warning("event=w")
    display(record)
"""


def test_a_terminal_has_one_line_that_is_rewritten_and_cut_at_its_width() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "50"}
    records = json.dumps([START, step(1), step(2), HELD_OUT, step(3)])
    with subprocess.Popen([sys.executable, "-c", _SHOW, records], stderr=theirs, env=environment) as done:
        os.close(theirs)
        written = b""
        try:
            while part := os.read(ours, 1 << 16):
                written += part
        except OSError:  # EIO, as Linux ends a terminal that nobody holds open
            pass
        os.close(ours)
    assert done.returncode == 0
    lines = written.decode().replace("\r\n", "\n").removesuffix("\n").split("\n")
    _, *versions = lines[1].split("\r\x1b[K")
    assert [version.partition(" tokens/s")[0] for version in versions] == [
        "step 1 of 400: loss 3.2500, 4,120",
        "step 2 of 400: loss 3.2500, 4,120",
    ]
    assert {len(version) for version in versions} == {49}
    assert "bits per byte" in lines[2], "a table stands below the line, which stays"
    assert any(line.endswith("\r\x1b[Kevent=w") for line in lines), "a warning takes its place"
    assert lines[-1].startswith("\r\x1b[Kstep 3 of 400: "), "the last line stays"
