"""A stand-in for Slurm: `sbatch`, `srun`, `scontrol`, `squeue` and `scancel` that start real processes of this machine.

A job is a folder `jobs/<number>`. `sbatch` leaves a process behind that runs the job's script, ends what its steps have
left, and starts it again where `scontrol requeue` asked for it. Nodes are addresses of this machine: 127.0.0.1 and on.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_HOME = "SLURM_STAND_IN"


@dataclass(frozen=True)
class Slurm:
    """A cluster in a folder of a test."""

    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "bin").mkdir(parents=True)
        (self.folder / "jobs").mkdir()
        for name in _COMMANDS:
            command = self.folder / "bin" / name
            command.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} {name} "$@"\n')
            command.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        """What makes the commands those of this cluster."""
        return {_HOME: str(self.folder), "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}

    def submit(self, file: Path) -> int:
        """Submit the file; the job's number."""
        environment = {**os.environ, **self.environment}
        done = subprocess.run(["sbatch", file], check=True, capture_output=True, text=True, env=environment)
        return int(done.stdout.split()[-1])

    def job(self, number: int) -> Path:
        return self.folder / "jobs" / str(number)

    def text(self, number: int, name: str) -> str:
        path = self.job(number) / name
        return path.read_text() if path.exists() else ""

    def wait_for(self, number: int, line: str, timeout_s: float = 60) -> None:
        """Return when the log of the job has the line."""
        end = time.monotonic() + timeout_s
        while line not in self.text(number, "log"):
            assert time.monotonic() < end, self.text(number, "log")
            time.sleep(0.05)

    def wait(self, number: int, timeout_s: float = 300) -> int:
        """The exit code of the job, when it has ended for good."""
        end = time.monotonic() + timeout_s
        while not (code := self.text(number, "code")):
            assert time.monotonic() < end, self.text(number, "log")
            time.sleep(0.1)
        return int(code)

    def signal_script(self, number: int) -> None:
        """Send SIGTERM to the job's script, as `--signal=B:TERM` has it."""
        os.kill(int(self.text(number, "script_pid")), signal.SIGTERM)

    def signal_steps(self, number: int) -> None:
        """Send SIGTERM to the steps of the job, as preemption does where it gives grace."""
        for pid in self.text(number, "steps").split():
            with suppress(ProcessLookupError):
                os.killpg(int(pid), signal.SIGTERM)


def sbatch(*words: str) -> int:
    """Take a job: its options are those of the file and of the command line."""
    *given, file = words
    lines = Path(file).read_text().splitlines()
    of_file = [word for line in lines if line.startswith("#SBATCH ") for word in shlex.split(line[8:])]
    options = dict(word.removeprefix("--").partition("=")[::2] for word in [*of_file, *given])
    if "refused" in options.values():
        sys.stderr.write("sbatch: error: invalid partition specified: refused\n")
        return 1
    number = os.getpid()  # folders of jobs lie in /tmp, and tests run side by side
    job = _jobs() / str(number)
    job.mkdir()
    (job / "script").write_text("\n".join(lines) + "\n")
    (job / "options").write_text(json.dumps(options))
    with Path(options["output"].replace("%j", str(number)).replace("%%", "%")).open("ab") as log:
        (job / "log").symlink_to(log.name)
        subprocess.Popen([sys.executable, __file__, "run_job", job], stdout=log, stderr=log, start_new_session=True)
    sys.stdout.write(f"Submitted batch job {number}\n")
    return 0


def run_job(folder: str) -> int:
    job = Path(folder)
    options = json.loads((job / "options").read_text())
    restarts = 0
    nodes = int(options["nodes"])
    environment = {
        **os.environ,
        "SLURM_JOB_ID": job.name,
        "SLURM_JOB_NODELIST": f"127.0.0.[1-{nodes}]" if nodes > 1 else "127.0.0.1",
        "SLURM_JOB_NUM_NODES": str(nodes),
        "SLURM_CPUS_ON_NODE": options.get("cpus-per-task", "1"),
    }
    while True:
        (job / "steps").write_text("")
        started = {**environment, "SLURM_RESTART_COUNT": str(restarts)} if restarts else environment
        script = subprocess.Popen(["bash", job / "script"], env=started, stdin=subprocess.DEVNULL)
        (job / "script_pid").write_text(str(script.pid))
        code = script.wait()
        for pid in (job / "steps").read_text().split():
            with suppress(ProcessLookupError):
                os.killpg(int(pid), signal.SIGKILL)
        if not (job / "requeue").exists():
            break
        (job / "requeue").unlink()
        restarts += 1
    (job / "code").write_text(str(code))
    return 0


def srun(*words: str) -> int:
    """Run a command on each node of a step, one task a node, which SIGTERM reaches."""
    options: dict[str, str] = {}
    while words[0].startswith("--"):
        name, _, options[name] = words[0].removeprefix("--").partition("=")
        words = words[1:]
    nodes = _nodes(os.environ["SLURM_JOB_NODELIST"])
    if "nodelist" in options:
        nodes = _nodes(options["nodelist"])
    elif "exclude" in options:
        nodes = [node for node in nodes if node not in _nodes(options["exclude"])]
    assert len(nodes) == int(options["nodes"]), (nodes, options)
    steps = _jobs() / os.environ["SLURM_JOB_ID"] / "steps"
    tasks = []
    for number, node in enumerate(nodes):
        of_step = {"SLURM_STEP_ID": "0" if "nodelist" in options else "1", "SLURM_NODEID": str(number)}
        environment = {**os.environ, **of_step, "SLURMD_NODENAME": node}
        tasks.append(subprocess.Popen(words, env=environment, start_new_session=True))
        with steps.open("a") as file:
            file.write(f"{tasks[-1].pid}\n")
    signal.signal(signal.SIGTERM, lambda *_: [task.terminate() for task in tasks])
    return max(abs(task.wait()) for task in tasks)


def scontrol(*words: str) -> int:
    match words:
        case ("show", "hostnames", nodes):
            sys.stdout.writelines(f"{node}\n" for node in _nodes(nodes))
        case ("show", "job", number):
            path = _jobs() / number / "state"
            state = path.read_text() if path.exists() else "RUNNING"
            sys.stdout.write(f"JobId={number} JobName=x\n   JobState={state} Reason=None Dependency=(null)\n")
        case ("requeue", number):
            (_jobs() / number / "requeue").touch()
            with (_jobs() / number / "requeued").open("a") as file:
                file.write("x")
        case _:
            return 1
    return 0


def squeue(*_: str) -> int:
    """The jobs, when all have ended: who looks again and again sees the same at last."""
    for job in sorted(_jobs().iterdir()):
        while not (job / "code").exists():
            time.sleep(0.1)
        sys.stdout.write(f"{job.name} CD\n")
    return 0


def scancel(number: str) -> int:
    (_jobs() / number / "state").write_text("COMPLETING")
    os.kill(int((_jobs() / number / "script_pid").read_text()), signal.SIGTERM)
    return 0


def _jobs() -> Path:
    return Path(os.environ[_HOME], "jobs")


def _nodes(text: str) -> list[str]:
    if found := re.fullmatch(r"(.*)\[(\d+)-(\d+)\]", text):
        return [f"{found[1]}{number}" for number in range(int(found[2]), int(found[3]) + 1)]
    return text.split(",")


_COMMANDS = {"sbatch": sbatch, "srun": srun, "scontrol": scontrol, "squeue": squeue, "scancel": scancel}

if __name__ == "__main__":
    name, *words = sys.argv[1:]
    sys.exit({**_COMMANDS, "run_job": run_job}[name](*words))
