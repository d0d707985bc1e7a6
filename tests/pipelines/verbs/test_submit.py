"""submit: the file for Slurm is checked before it is queued, quotes every word, and does what Slurm's signals ask."""

import shlex
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command import gristmill
from many_files import RECIPE
from slurm import Slurm

from pipelines.cli.run import submit
from pipelines.verbs.submit import Job, file_of, job_file
from shards import mirror
from shards.errors import UserError

JOB = Job(nodes=2, time="1:00:00")
URL = ("--set", "source.paths=https://nowhere.example/warc.paths.gz")


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    made = Slurm(tmp_path / "slurm")
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


def options_of(text: str) -> dict[str, str]:
    """The options in the `#SBATCH` lines, as sbatch reads them."""
    words = [shlex.split(line.removeprefix("#SBATCH ")) for line in text.splitlines() if line.startswith("#SBATCH ")]
    return dict(word.removeprefix("--").partition("=")[::2] for line in words for word in line)


@pytest.mark.parametrize("time", ["5", "90:00", "24:00:00", "2-0", "1-12:30", "1-00:00:00", "UNLIMITED"])
def test_a_time_limit_is_written_as_slurm_writes_it(time: str) -> None:
    replace(JOB, time=time).check()
    assert f"#SBATCH --time={time}\n" in job_file(replace(JOB, time=time), Path("/r/mine.sbatch"), ["run"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"time": "1h"}, "--time 1h: expected minutes"),
        ({"time": "1:2:3:4"}, "--time 1:2:3:4: expected minutes"),
        ({"time": "2"}, "--time 2: is over within the --grace of 120 seconds"),
        ({"time": "0:90"}, "--time 0:90: is over within the --grace"),
        ({"grace_s": 59}, "--grace 59: too short"),
        ({"more": ("qos=low",)}, "--sbatch 'qos=low': expected an option"),
        ({"more": ("--qos=low\nrm -r x",)}, "expected an option of sbatch"),
        ({"partition": "a b"}, "--partition 'a b': expected a name"),
        ({"account": "a;b"}, "--account 'a;b': expected a name"),
    ],
)
def test_a_job_that_slurm_would_refuse_or_misread_is_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as refused:
        replace(JOB, **changed).check()  # type: ignore[arg-type]
    assert message in str(refused.value)


def test_every_word_reaches_the_run_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / 'it\'s a $(touch hacked) "folder"'
    here.mkdir()
    monkeypatch.chdir(here)
    words = ["run", "my 'own'.toml", "--set", 'source.paths=["a b", "c\\d"]', "--set", "x.y=$HOME `id` !! #", "ü\n*"]
    text = job_file(JOB, here / "mine.sbatch", words, ["--overwrite"])
    settings = text.partition("# From here on")[0]
    shown = 'printf "%s\\0" "$folder" "${run[@]}" "${only_at_first[@]}"'
    printed = subprocess.run(["bash", "-uc", settings + shown], check=True, capture_output=True).stdout
    assert printed.decode().split("\0")[:-1] == [str(here), *words, "--overwrite"]
    assert list(here.iterdir()) == []


def test_the_whole_file_is_bash(tmp_path: Path) -> None:
    path = tmp_path / "mine.sbatch"
    path.write_text(job_file(JOB, path, ["run", "gristmill"]))
    assert subprocess.run(["bash", "-n", path], check=False, capture_output=True).stderr == b""


def test_options_of_the_job_are_those_of_sbatch() -> None:
    job = replace(JOB, partition="long", account="lab", cpus=16, grace_s=300, more=("--qos=low", '--comment="a b"'))
    options = options_of(job_file(job, Path("/shared/50% of it/my run.sbatch"), ["run"]))
    assert (
        options.items()
        >= {
            "nodes": "2",
            "ntasks-per-node": "1",
            "partition": "long",
            "account": "lab",
            "cpus-per-task": "16",
            "signal": "B:TERM@300",
            "requeue": "",
            "open-mode": "append",
            "job-name": "gristmill-my_run",
            "output": "/shared/50%% of it/my run.%j.log",
            "qos": "low",
            "comment": "a b",
        }.items()
    )
    assert "exclusive" not in options


def test_without_cpus_whole_nodes_are_taken_with_their_memory() -> None:
    options = options_of(job_file(JOB, Path("/shared/mine.sbatch"), ["run"]))
    assert (options["exclusive"], options["mem"], "cpus-per-task" in options) == ("", "0", False)


def test_the_file_lies_beside_the_run_and_that_of_a_run_in_a_store_lies_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert file_of(Path("runs/mine")) == tmp_path / "runs" / "mine.sbatch"
    assert file_of(Path()) == tmp_path.with_name(f"{tmp_path.name}.sbatch")
    assert file_of(mirror.local("s3://bucket/runs/mine")) == tmp_path / "mine.sbatch"


class TestCommand:
    def test_paths_are_absolute_and_nobody_else_may_read_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "recipe.toml").write_text(RECIPE)
        (tmp_path / "x.jsonl").touch()
        inputs = ["--set", "source.web.paths=x.jsonl", "--set", "source.ark.paths=https://nowhere.example/a.jsonl"]
        words = ("submit", "recipe.toml", "--nodes", "2", "--time", "1-0", "--out", "runs/a", *inputs)
        done = gristmill(*words, "--memory", "4GB", "--part", "1/2", "--print", cwd=tmp_path, columns=500)
        path = tmp_path / "runs" / "a.sbatch"
        assert (done.returncode, done.stdout) == (0, f"wrote {path}; to submit it: sbatch {path}\n"), done.stderr
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        run = ["run", tmp_path / "recipe.toml", *inputs, "--out", tmp_path / "runs" / "a"]
        assert f"\nrun=({shlex.join(map(str, run))} --memory 4GB --part 1/2)\n" in path.read_text()

    def test_where_there_is_no_slurm_the_file_is_written_and_the_command_fails(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        done = gristmill("submit", "gristmill", *URL, "--nodes", "2", "--time", "60", "--out", "runs/a", cwd=tmp_path)
        path = tmp_path / "runs" / "a.sbatch"
        assert (done.returncode, path.is_file()) == (2, True)
        assert done.stderr.startswith(f"gristmill: sbatch: is not on this machine; wrote {path}, ")

    def test_a_run_in_a_store_and_a_built_in_recipe_keep_their_names(self, tmp_path: Path) -> None:
        words = ("submit", "gristmill", *URL, "--nodes", "2", "--time", "60", "--out", "s3://bucket/runs/a", "--print")
        assert gristmill(*words, cwd=tmp_path).returncode == 0
        run = shlex.join(["run", "gristmill", *URL, "--out", "s3://bucket/runs/a"])
        assert f"\nrun=({run})\n" in (tmp_path / "a.sbatch").read_text()

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"recipe": "nothing.toml"}, "neither a recipe file nor a built-in recipe"),
            ({"settings": [*URL[1:], "gopher_quality.min_wrds=3"]}, "min_wrds"),
            ({"settings": []}, "source.web.paths: no path is given"),
            ({"settings": ["source.paths=crwal/"]}, "source.web.paths: crwal/: no such file or folder"),
            ({"memory": "much"}, "--memory much"),
            ({"part": "3/2"}, "--part 3/2"),
            ({"grace": 5}, "--grace 5"),
        ],
    )
    def test_what_the_job_would_refuse_is_refused_before_it_is_queued(
        self,
        tmp_path: Path,
        slurm: Slurm,
        monkeypatch: pytest.MonkeyPatch,
        changed: dict[str, Any],
        message: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        words: dict[str, Any] = {"recipe": "gristmill", "nodes": 2, "time": "60", "settings": [*URL[1:]]}
        with pytest.raises(UserError, match=message):
            submit(**(words | changed))
        assert [*(slurm.folder / "jobs").iterdir()] == []
        assert sorted(path.name for path in tmp_path.iterdir()) == ["slurm"]

    def test_a_job_that_sbatch_refuses_is_the_users_mistake_with_its_words(self, tmp_path: Path, slurm: Slurm) -> None:
        words = ("submit", "gristmill", *URL, "--nodes", "2", "--time", "60", "--partition", "refused")
        done = gristmill(*words, cwd=tmp_path, columns=300)
        assert done.returncode == 2
        assert f"sbatch refuses {tmp_path}/runs/gristmill.sbatch: sbatch: error: invalid partition" in done.stderr


RAY = """
import pathlib
ready = False
def init(*_, **__):
    global ready
    ready = True
def nodes():
    return [{"Alive": True} for _ in pathlib.Path().glob("*.node")]
is_initialized = lambda: ready
"""
RAY_START = """
import os, pathlib, signal, sys
print("ray:", *sys.argv[1:], file=sys.stderr, flush=True)
path = pathlib.Path(f"{os.getpid()}.node")
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
path.touch()
signal.sigwait([signal.SIGTERM])
path.unlink()
"""
DRIVER = """
import os, signal, sys, time
print("driver:", *sys.argv[1:], flush=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
"""


@pytest.mark.slow
class TestJob:
    """The whole file under a stand-in for Slurm, with a stand-in for Ray and a driver that each test writes."""

    @pytest.fixture(autouse=True)
    def ray(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))
        monkeypatch.chdir(tmp_path)
        for name, text in {"ray/__init__": RAY, "ray/scripts/scripts": RAY_START}.items():
            path = tmp_path / "modules" / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def start(self, slurm: Slurm, driver: str, job: Job = JOB) -> int:
        module = Path("modules/pipelines/__main__.py")
        module.parent.mkdir()
        module.write_text(DRIVER + driver)
        path = Path("mine.sbatch").absolute()
        path.write_text(job_file(job, path, ["run", "a b"], ["--overwrite"]))
        return slurm.submit(path)

    def ended(self, slurm: Slurm, number: int) -> tuple[int, int, str]:
        """(exit code, times that it went back into the queue, log), when nothing is left of the job."""
        code = slurm.wait(number, 60)
        assert list(Path("/tmp").glob(f"gristmill-{number}.*")) == []
        return code, len(slurm.text(number, "requeued")), slurm.text(number, "log")

    @pytest.mark.parametrize("code", [0, 1])
    def test_a_driver_that_ends_by_itself_ends_the_job_with_its_code(
        self, slurm: Slurm, monkeypatch: pytest.MonkeyPatch, code: int
    ) -> None:
        monkeypatch.setenv("SLURM_MEM_PER_CPU", "3000")
        number = self.start(slurm, f"sys.exit({code})", replace(JOB, nodes=1 + code, cpus=4))
        ended = self.ended(slurm, number)
        assert ended[:2] == (code, 0)
        assert "driver: run a b --overwrite --executor ray --address 1" in ended[2]
        assert f"--num-cpus=4 --object-store-memory=524288000 --memory={11_500 << 20} --head" in ended[2]

    def test_sigterm_stops_the_driver_and_the_next_start_goes_on(self, slurm: Slurm) -> None:
        number = self.start(slurm, "os.environ.get('SLURM_RESTART_COUNT') or time.sleep(60)")
        slurm.wait_for(number, "driver: run a b --overwrite")
        slurm.signal_script(number)
        code, requeued, log = self.ended(slurm, number)
        assert (code, requeued) == (0, 1)
        assert log.count("driver: run a b --executor") == 1, "what was made is not begun anew"

    def test_a_driver_that_does_not_stop_in_time_is_killed_and_the_job_goes_on(self, slurm: Slurm) -> None:
        stubborn = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
        driver = f"os.environ.get('SLURM_RESTART_COUNT') or [{stubborn}, print('ready', flush=True), time.sleep(60)]"
        number = self.start(slurm, driver, replace(JOB, grace_s=31))
        slurm.wait_for(number, "ready")
        slurm.signal_script(number)
        assert self.ended(slurm, number)[:2] == (0, 1)

    def test_a_lock_that_the_last_start_has_left_is_waited_for(
        self, slurm: Slurm, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pipelines.verbs.submit._LOCK_WAIT_S", 1)
        seen = "__import__('pathlib').Path('seen')"
        driver = f"""
if not os.environ.get('SLURM_RESTART_COUNT'):
    os.kill(os.getpid(), signal.SIGKILL)
if not {seen}.exists():
    {seen}.touch()
    sys.exit(2)
"""
        code, requeued, log = self.ended(slurm, self.start(slurm, driver))
        assert (code, requeued, log.count("driver: ")) == (0, 1, 3)

    def test_steps_that_slurm_ends_are_as_sigterm(self, slurm: Slurm) -> None:
        """Preemption that gives grace sends SIGTERM to the steps and not to the script."""
        number = self.start(slurm, "os.environ.get('SLURM_RESTART_COUNT') or time.sleep(60)")
        slurm.wait_for(number, "driver: ")
        slurm.signal_steps(number)
        code, requeued, log = self.ended(slurm, number)
        assert (code, requeued, "Ray has ended; the run stops" in log) == (0, 1, True)

    def test_a_job_whose_ray_does_not_start_fails(self, slurm: Slurm) -> None:
        Path("modules/ray/scripts/scripts.py").write_text("import sys; sys.exit('no room in /tmp')")
        Path("modules/ray/__init__.py").write_text("import time; is_initialized = lambda: time.sleep(60)")
        code, requeued, log = self.ended(slurm, self.start(slurm, ""))
        assert (code > 0, requeued, "no room in /tmp" in log, "driver: " in log) == (True, 0, True, False)

    def test_a_job_that_slurm_ends_itself_is_left_to_slurm(self, slurm: Slurm) -> None:
        number = self.start(slurm, "time.sleep(60)")
        slurm.wait_for(number, "driver: ")
        subprocess.run(["scancel", str(number)], check=True)
        assert self.ended(slurm, number)[:2] == (130, 0)

    def test_the_last_restart_is_said(self, slurm: Slurm) -> None:
        number = self.start(slurm, "os.kill(os.getpid(), signal.SIGKILL)", replace(JOB, max_restarts=1))
        code, requeued, log = self.ended(slurm, number)
        assert (code, requeued) == (137, 1)
        assert "restarted 1 times; what is done is kept, and sbatch goes on from there" in log
