"""Ray: a real cluster of two nodes gives what one process gives, and its nodes and workers may die."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest
from command import gristmill
from ledger_runs import GLOBAL_STAGES, LEDGER_RECIPE, make_crawl
from ray_cluster import RayCluster, ray_cluster
from run_digest import digest, stored
from s3_server import Proxy

from pipelines.executors import Counters, Job, Watch
from pipelines.executors.ray_tasks import RayTasks, _require_listening
from pipelines.run.folder import RunFolder
from shards.brought import brought
from shards.errors import RunError, UserError
from shards.lock import locked, owner_of

pytestmark = pytest.mark.slow
full = pytest.mark.skipif("GRISTMILL_TEST_RAY" not in os.environ, reason="`make test-ray` runs it")

RECIPE = (LEDGER_RECIPE + GLOBAL_STAGES).replace("SET", "set.jsonl")


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with ray_cluster() as cluster:
        cluster.add()
        cluster.add()
        yield cluster


@pytest.fixture(scope="module")
def connected(cluster: RayCluster) -> Iterator[RayTasks]:
    with RayTasks(cluster.address) as executor:
        yield executor


@pytest.fixture
def executor(connected: RayTasks, tmp_path: Path) -> Iterator[RayTasks]:
    with locked(tmp_path) as lease:
        connected.begin(Job(tmp_path, lease.owner.token))
        yield connected


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_crawl(tmp_path_factory.mktemp("crawl"))


@pytest.fixture(scope="module")
def alone(crawl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in one process, in the folder of its recipe."""
    folder = tmp_path_factory.mktemp("alone")
    question = "Who built the dam, and what does the oldest map show in this place?"
    (folder / "set.jsonl").write_text(json.dumps({"question": question}))
    (folder / "small.toml").write_text(RECIPE)
    done = gristmill(*made(crawl), folder / "run", "--executor", "in-process", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def made(crawl: Path) -> list[str]:
    return ["run", "small.toml", "--set", f'source.web.paths="{crawl}"', "--out"]


def on_cluster(cluster: RayCluster, *words: str | Path, cwd: Path) -> str:
    done = gristmill(*words, "--executor", "ray", "--address", cluster.address, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stderr


# Tasks stand at the top of the module: they are sent by name.
def count_down(number: int) -> int:
    return number - 1


def half_of_even(number: int) -> int:
    if number % 2:
        raise UserError(f"{number} is odd")
    return number // 2


def advance_and_wait(path: Path, watch: Watch) -> None:
    watch.advance(3, 2, 10)
    while not path.exists():
        time.sleep(0.1)
        watch.check_stop()


def die_once(path: Path) -> str:
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def die(_: int) -> None:
    os._exit(9)


def read_brought(name: str) -> str:
    path = brought(name)
    assert path is not None
    return path.read_text() if path.is_file() else str(sorted(file.name for file in path.iterdir()))


def test_every_task_has_one_result_and_those_that_follow_are_run_too(executor: RayTasks) -> None:
    assert executor.workers == 2
    assert sorted(executor.map(count_down, range(100))) == [*range(-1, 99)]
    assert list(executor.map(count_down, [])) == []
    follow = executor.map(count_down, [5, 2], lambda result: [result] if result > 0 else [])
    assert sorted(follow) == sorted([4, 3, 2, 1, 0, 1, 0])


def test_the_error_of_a_task_is_raised_as_it_was(executor: RayTasks) -> None:
    with pytest.raises(UserError, match=r"^7 is odd$"):
        list(executor.map(half_of_even, [2, 4, 7, 8, 10]))


def test_progress_is_the_sum_of_what_open_tasks_have_done(executor: RayTasks, tmp_path: Path) -> None:
    seen: list[list[int]] = []

    def tick(counters: Counters) -> None:
        seen.append([*counters])
        if seen[-1][0] == 6:
            (tmp_path / "go").touch()

    assert list(executor.map_watched(advance_and_wait, [tmp_path / "go"] * 2, tick=tick)) == [None, None]
    assert seen[-1] == [6, 4, 20]


def test_a_task_whose_worker_was_killed_is_given_out_again(executor: RayTasks, tmp_path: Path) -> None:
    before = executor.num_lost
    assert list(executor.map(die_once, [tmp_path / "mark"])) == ["done"]
    assert executor.num_lost == before + 1


def test_work_goes_on_when_the_process_between_driver_and_workers_is_killed(executor: RayTasks, tmp_path: Path) -> None:
    seen: list[list[int]] = []

    def tick(counters: Counters) -> None:
        seen.append([*counters])
        if len(seen) == 1:
            subprocess.run(["pkill", "-KILL", "-f", "ray::_Board"], check=True)
        elif seen[-1][0] == 3:
            (tmp_path / "go").touch()

    assert list(executor.map_watched(advance_and_wait, [tmp_path / "go"], tick=tick)) == [None]
    assert seen[-1] == [3, 2, 10]


def test_a_task_that_kills_each_worker_ends_the_run_with_the_remedy(executor: RayTasks) -> None:
    with pytest.raises(RunError, match=r"lost 5 times .* run the same command"):
        list(executor.map(die, [1]))


def test_files_that_stages_read_come_along(executor: RayTasks, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("mill")
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "a.jsonl").write_text("a")
    (tmp_path / "sets" / "b.jsonl").write_text("b")
    token = owner_of(tmp_path).token  # type: ignore[union-attr]
    executor.begin(Job(tmp_path, token, {"mine": tmp_path / "list.txt", "sets": tmp_path / "sets"}))
    assert sorted(executor.map(read_brought, ["mine", "sets"])) == ["['a.jsonl', 'b.jsonl']", "mill"]


def test_a_node_that_does_not_see_the_folder_of_the_run_says_so(executor: RayTasks, tmp_path: Path) -> None:
    executor.begin(Job(tmp_path / "nowhere", "token"))
    with pytest.raises(RunError, match=r"node \S+ does not see this folder .*s3://"):
        list(executor.map(count_down, [1]))
    executor.begin(Job(tmp_path, "of a driver that was held up"))
    with pytest.raises(RunError, match=r"its lock was taken over by process \d+ on"):
        list(executor.map(count_down, [1]))


def test_memory_is_shared_by_the_tasks_of_a_node(cluster: RayCluster) -> None:
    with RayTasks(cluster.address, memory=3_000_000_000) as executor:
        assert executor.task_memory == 3_000_000_000 - (256 << 20)
    with pytest.raises(UserError, match=r"--memory 9.0 GB: a node of the cluster has 4.0 GB for tasks; give less"):
        RayTasks(cluster.address, memory=9_000_000_000).__enter__()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("127.0.0.1:1", r"no cluster answers \(Connection refused\); start one"),
        ("ray://head:10001", "expected HOST:PORT"),
    ],
)
def test_an_address_where_nobody_answers_is_refused(address: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        _require_listening(address)


@full
@pytest.mark.parametrize("wait_s", [2.0, 3.0])
def test_sigterm_while_a_cluster_of_its_own_starts_leaves_nothing_behind(
    crawl: Path, alone: Path, tmp_path: Path, wait_s: float
) -> None:
    temporary = Path(tempfile.mkdtemp(prefix="gm-", dir="/tmp"))  # short: paths of sockets have at most 107 bytes
    environment = {**os.environ, "TMPDIR": str(temporary)}
    command = [sys.executable, "-m", "pipelines", *made(crawl), str(tmp_path / "run"), "--executor", "ray"]
    with subprocess.Popen(command, cwd=alone.parent, stderr=subprocess.PIPE, text=True, env=environment) as process:
        time.sleep(wait_s)
        process.terminate()
        said = process.communicate()[1]
    assert "o resume: gristmill run" in said
    if process.returncode == -signal.SIGABRT:  # Ray, which is cut off as it starts, aborts at the end of the process
        rmtree(temporary)
        return
    assert process.returncode == 130, said
    assert [path.name for path in temporary.glob("*/*") if not path.name.endswith(".lock")] == []
    assert [*temporary.glob("gristmill-ray-*")] == []
    rmtree(temporary)


@full
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_with_its_open_batches_and_the_same_command_resumes(
    cluster: RayCluster, crawl: Path, alone: Path, tmp_path: Path, number: signal.Signals
) -> None:
    words = [*made(crawl), str(tmp_path / "run"), "--executor", "ray", "--address", cluster.address]
    command = [sys.executable, "-m", "pipelines", *words]
    with subprocess.Popen(command, cwd=alone.parent, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "pass 0" not in (line := process.stderr.readline()):
            assert line
        process.send_signal(number)
        said = process.stderr.read()
        assert process.wait() == 130
    assert "To resume: gristmill run" in said
    on_cluster(cluster, *made(crawl), tmp_path / "run", cwd=alone.parent)
    assert digest(tmp_path / "run") == digest(alone)


def test_a_run_on_a_cluster_has_the_bytes_of_one_process(
    cluster: RayCluster, crawl: Path, alone: Path, tmp_path: Path
) -> None:
    on_cluster(cluster, *made(crawl), tmp_path / "run", cwd=alone.parent)
    assert digest(tmp_path / "run") == digest(alone)


def test_a_run_in_a_store_has_them_too_and_leaves_nothing_in_the_scratch_of_nodes(
    cluster: RayCluster, crawl: Path, alone: Path, s3: Proxy
) -> None:
    on_cluster(cluster, *made(crawl), f"{s3.folder}/run", cwd=alone.parent)
    assert stored(f"{s3.folder}/run") == digest(alone)
    assert [path for node in cluster.nodes for path in cluster.scratch(node).rglob("*") if path.is_file()] == []


@full
def test_apply_merge_and_index_give_their_bytes_too(
    cluster: RayCluster, crawl: Path, alone: Path, s3: Proxy, tmp_path: Path
) -> None:
    changed = ["apply", alone, "--set", "gopher_quality.min_words=90", "--out"]
    assert gristmill(*changed, tmp_path / "applied", "--executor", "in-process", cwd=alone.parent).returncode == 0
    on_cluster(cluster, *changed, f"{s3.folder}/applied", cwd=alone.parent)
    assert stored(f"{s3.folder}/applied") == digest(tmp_path / "applied")

    parts = [f"{s3.folder}/1", f"{s3.folder}/2"]
    for number, part in enumerate(parts, 1):
        on_cluster(cluster, *made(crawl), part, "--part", f"{number}/2", "--until-global", cwd=alone.parent)
    on_cluster(cluster, "merge", *parts, "--out", f"{s3.folder}/merged", cwd=alone.parent)
    assert stored(f"{s3.folder}/merged") == digest(alone)

    assert gristmill("index", "add", tmp_path / "index", alone, "--executor", "in-process").returncode == 0
    on_cluster(cluster, "index", "add", tmp_path / "index-ray", alone, cwd=tmp_path)
    assert digest(tmp_path / "index-ray") == digest(tmp_path / "index")


@full  # and not `real`: without `make test-ray` it is skipped although the data are there
def test_the_crawl_in_a_store_survives_a_node_that_is_removed_in_its_middle(
    real_data: Path, language_model: Path, s3: Proxy, tmp_path: Path
) -> None:
    """The sha256 of shards, ledger and all else as in one process."""
    files = sorted((real_data / "crawl").glob("*.warc.gz"))[: int(os.environ.get("GRISTMILL_TEST_FILES", "8"))]
    words = ["run", "gristmill", "--set", f"source.paths={json.dumps([str(file) for file in files])}", "--out"]
    done = gristmill(*words, tmp_path / "alone", "--executor", "in-process")
    assert done.returncode == 0, done.stderr
    with ray_cluster() as cluster:
        lost = cluster.add()
        cluster.add()
        options = [s3.folder, "--executor", "ray", "--address", cluster.address]
        command = [sys.executable, "-m", "pipelines", *words, *options]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            for line in process.stderr:
                done_so_far = re.search(r"pass 0: (\d+)%", line)
                if done_so_far and int(done_so_far[1]) > 5:
                    break
            cluster.remove(lost)
            cluster.add()
            assert process.stdout is not None
            said, told = process.stdout.read(), process.stderr.read()
            assert process.wait() == 0, told
    assert "ran again, whose worker or node had died" in said
    assert stored(s3.folder) == digest(tmp_path / "alone", without=[RunFolder.REPORT_PAGE])
