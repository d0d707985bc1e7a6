"""Submit a run to Slurm: one file for `sbatch`, which starts Ray on the nodes of the job and the driver beside it.

    #SBATCH lines       nodes, time, signal …               from the options
    python=… run=(…)    what the job runs, quoted           from the recipe and its settings
    slurm_job.bash      Ray, driver, SIGTERM, requeue       the same for every run

The job can end at any moment and start again on other nodes: the driver resumes the run. So the file is submitted once,
and Slurm starts it as often as the run needs.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from pipelines.recipe import Recipe
from shards import mirror
from shards.address import file_name, is_remote
from shards.atomic import atomic_file
from shards.errors import RunError, UserError
from shards.storage import find_inputs

LEAST_GRACE_S = 60  # seconds: 30 for the end of Ray and the way back into the queue, and as many for the open batches
_MOST_GRACE_S = 65_535  # sbatch(1), --signal
_LISTS = (".paths", ".paths.gz")
_SUFFIX = ".sbatch"
_NODES_WAIT_S = 600  # seconds from the start of a job until it begins with the nodes that are there
_LOCK_WAIT_S = 90  # seconds: more than the lock of a driver outlives it on another machine (`shards.lock`)
_TIME = re.compile(
    r"(?:(?P<days>\d+)-(?P<of_day>\d+(?::\d+){0,2})|(?P<clock>\d+(?::\d+){0,2})|UNLIMITED|INFINITE)", re.I
)


@dataclass(frozen=True)
class Job:
    """What Slurm is asked for."""

    nodes: int
    time: str  # limit of one start, as Slurm writes it: minutes, H:MM:SS, D-HH, D-HH:MM:SS
    partition: str | None = None
    account: str | None = None
    cpus: int | None = None  # of each node; all of it, and its memory, if not given
    grace_s: int = 120  # seconds from SIGTERM to the end
    max_restarts: int = 50  # times that the job goes back into the queue
    more: tuple[str, ...] = ()  # further options of sbatch, each as a line `#SBATCH` has it

    def check(self) -> None:
        """UserError, with the option, for what Slurm would refuse or read as something else."""
        seconds = _seconds(self.time)
        if self.grace_s < LEAST_GRACE_S:
            raise UserError(f"--grace {self.grace_s}: too short to end in; give {LEAST_GRACE_S} seconds or more")
        if self.grace_s > _MOST_GRACE_S:
            raise UserError(f"--grace {self.grace_s}: Slurm takes {_MOST_GRACE_S} seconds at most")
        if seconds is not None and seconds <= self.grace_s:
            raise UserError(f"--time {self.time}: is over within the --grace of {self.grace_s} seconds; give more")
        for option in self.more:
            if not option.startswith("-") or not option.isprintable():
                raise UserError(f"--sbatch {option!r}: expected an option of sbatch, as --sbatch=--qos=low")
        for name, value in (("--partition", self.partition), ("--account", self.account)):
            if value is not None and not re.fullmatch(r"[\w.,@+-]+", value):
                raise UserError(f"{name} {value!r}: expected a name")


def job_file(job: Job, path: Path, run: Sequence[str], only_at_first: Sequence[str] = ()) -> str:
    """The text of the file that will lie at `path`: `run` are the words of a command that takes `--executor ray`.

    Words `only_at_first` are added at the first start, and not when the job starts again. The job is named after the
    file, and its output goes to a log beside it.
    """
    body = files("pipelines.verbs").joinpath("slurm_job.bash").read_text(encoding="utf-8")
    lines = ["#!/bin/bash", *(f"#SBATCH {option}" for option in _options(job, path))]
    settings = {
        "folder": shlex.quote(str(Path.cwd())),
        "python": shlex.quote(sys.executable),
        "run": _array(run),
        "only_at_first": _array(only_at_first),
        "grace_s": str(job.grace_s),
        "max_restarts": str(job.max_restarts),
        "nodes_wait_s": str(_NODES_WAIT_S),
        "lock_wait_s": str(_LOCK_WAIT_S),
    }
    return "\n".join([*lines, "", *(f"{key}={value}" for key, value in settings.items()), "", body])


def file_of(folder: Path) -> Path:
    """Where the file of the run in `folder` is written: beside it, or here for a run in a store."""
    root = folder.absolute()
    return (Path.cwd() if mirror.is_mirrored(root) else root.parent) / f"{root.name}{_SUFFIX}"


def write_file(path: Path, text: str) -> None:
    """Write the file for this user's eyes only: settings may hold addresses with passwords."""
    with atomic_file(path) as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text.encode(errors="surrogateescape"))


def submit(path: Path) -> str:
    """Hand the file to `sbatch`; what it answers. UserError where it refuses the job."""
    try:
        done = subprocess.run(["sbatch", path], check=False, capture_output=True, text=True, errors="replace")
    except OSError as error:
        raise RunError(f"sbatch: cannot be started: {error.strerror}") from None
    if done.returncode:
        cause = " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
        raise UserError(f"sbatch refuses {path}: {cause}")
    return done.stdout.strip()


def has_slurm() -> bool:
    """Whether this machine can submit jobs."""
    return shutil.which("sbatch") is not None


def check_inputs(recipe: Recipe) -> None:
    """UserError where the recipe has no inputs, or names files of this disk that are not there.

    URLs and what lists name are left to the run: it takes minutes to ask for each file of a crawl.
    """
    for name, source in recipe.sources.items():
        here = [path for path in source.paths if not is_remote(path) and not file_name(path).endswith(_LISTS)]
        if here or not source.paths:
            find_inputs(here, source.suffixes, f"source.{name}.paths")


def require_ray() -> None:
    """UserError where the environment, which the job uses on all nodes, has no Ray."""
    if find_spec("ray") is None:
        raise UserError("a job runs on Ray, which needs the extra `ray`: pip install 'gristmill[ray]'")


def absolute(path: Path) -> str:
    """The path, or the URL for which it stands, as it is named in any folder."""
    return mirror.address(path) or str(path.expanduser().absolute())


def _options(job: Job, path: Path) -> Iterator[str]:
    name = path.name.removesuffix(_SUFFIX)
    log = str(path.with_name(name)).replace("%", "%%") + ".%j.log"  # of the job's number
    yield f"--job-name=gristmill-{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}"
    yield f"--nodes={job.nodes}"
    yield "--ntasks-per-node=1"
    yield f"--time={job.time}"
    if job.partition is not None:
        yield f"--partition={job.partition}"
    if job.account is not None:
        yield f"--account={job.account}"
    if job.cpus is not None:
        yield f"--cpus-per-task={job.cpus}"
    else:
        yield "--exclusive"
        yield "--mem=0"
    yield f"--signal=B:TERM@{job.grace_s}"
    yield "--requeue"
    yield "--no-kill"
    yield "--open-mode=append"
    yield f"--output={shlex.quote(log)}"
    yield from job.more


def _array(words: Sequence[str]) -> str:
    return f"({shlex.join(words)})"


def _seconds(time: str) -> int | None:
    """The seconds of a limit as Slurm writes them; None for no limit. UserError."""
    found = _TIME.fullmatch(time)
    if found is None:
        raise UserError(f"--time {time}: expected minutes, HH:MM:SS, D-HH or D-HH:MM:SS")
    if found["days"]:
        units = zip((3600, 60, 1), found["of_day"].split(":"), strict=False)
        return 86400 * int(found["days"]) + sum(unit * int(number) for unit, number in units)
    if not found["clock"]:
        return None
    numbers = [int(number) for number in found["clock"].split(":")]
    units_of = {1: (60,), 2: (60, 1), 3: (3600, 60, 1)}[len(numbers)]
    return sum(unit * number for unit, number in zip(units_of, numbers, strict=True))
