"""docs/cluster.md: each of its commands runs, on small inputs and stand-ins, and ends with the bytes of one process."""

import gzip
import os
import re
import shlex
import socket
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cluster_commands import stop_nodes, write_commands
from command import gristmill
from ledger_runs import LEDGER_RECIPE, make_crawl
from run_digest import digest
from s3_server import BUCKET, Proxy, behind_proxy, moto, use
from slurm import Slurm

from pipelines.run.folder import RunFolder
from shards import mirror

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
RUN = {
    "A laptop": "runs/mine",
    "One large machine": "runs/mine",
    "Slurm": "runs/mine",
    "Machines without a scheduler": "runs/mine",
    "Kubernetes": f"s3://{BUCKET}/mine",
    "AWS beside the crawl": f"s3://{BUCKET}/mine",
}  # by section: the folder of its run, with the substitutions below
IN_CI = ("A laptop",)  # the others take half a minute each
COMMANDS = {"aws", "export", "gristmill", "kubectl", "pip", "ray", "squeue"}  # that run here


def blocks(language: str) -> dict[str, str]:
    """The block of this language in each section that has one."""
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    found = {}
    for section in sections:
        texts = re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
        assert len(texts) <= 1, section
        if texts:
            found[section.partition("\n")[0]] = texts[0]
    return found


def substitutions(folder: Path, port: int, settings: dict[str, str]) -> dict[str, str]:
    """What stands in for what the page names, as patterns."""
    return {
        r"\b(run|submit|crawl/) gristmill\b": r"\1 small.toml",
        r"s3://commoncrawl/crawl-data/CC-MAIN-2024-10/": f"s3://{BUCKET}/",
        r"s3://my-bucket": f"s3://{BUCKET}",
        r"--workers 64 --memory 64GB": "--workers 2 --memory 1GB",
        r"--nodes 8 --time 24:00:00": "--nodes 2 --time 24:00:00 --cpus 1 --memory 1GB",
        r"/nvme/scratch": str(folder / "nvme"),
        r"\bhead:6379": f"127.0.0.1:{port}",
        r"--port=6379": f"--port={port}",
        r"AWS_REGION=\S+ AWS_ACCESS_KEY_ID=\S+ AWS_SECRET_ACCESS_KEY=\S+": shlex.join(
            f"{name}={value}" for name, value in settings.items()
        ),
    }


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with moto() as server, behind_proxy(server) as proxy:
        use(proxy, monkeypatch)
        yield proxy


def put_crawl(crawl: Path) -> None:
    """Put the crawl and its list of paths into the bucket."""
    paths = sorted(crawl.glob("*.warc.gz"))
    listing = "".join(f"crawl/{path.name}\n" for path in paths)
    objects = {f"crawl/{path.name}": path.read_bytes() for path in paths}
    for name, data in {**objects, "warc.paths.gz": gzip.compress(listing.encode())}.items():
        place = mirror.local(f"s3://{BUCKET}/{name}")
        RunFolder(place.parent).write(place.name, data)


def test_every_command_of_the_page_is_run_by_the_test_of_its_section() -> None:
    assert blocks("sh").keys() == RUN.keys()
    words = [shlex.split(line, comments=True) for block in blocks("sh").values() for line in block.splitlines()]
    assert {line[0] for line in words} == COMMANDS
    assert set(re.findall(r"^```(\w+)", PAGE, re.MULTILINE)) == {"sh", "dockerfile", "yaml"}


def test_the_image_has_the_ray_of_the_lock_and_what_it_copies_exists() -> None:
    image = blocks("dockerfile")["Kubernetes"]
    ray = re.search(r"^ray==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert ray is not None
    assert f"FROM rayproject/ray:{ray[1]}-py311" in image
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    copied = re.findall(r"^COPY (\S+) (\S+) /tmp/$", image, re.MULTILINE)
    assert copied == [(f"gristmill-{version}-py3-none-any.whl", "requirements.lock")]


def test_the_rayjob_names_only_images_and_secrets_of_the_page() -> None:
    job = yaml.safe_load(blocks("yaml")["Kubernetes"])
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        (container,) = group["template"]["spec"]["containers"]
        assert container["envFrom"] == [{"secretRef": {"name": "gristmill-s3"}}]
        assert container["resources"]["limits"].keys() == {"cpu", "memory", "ephemeral-storage"}
    assert job["spec"]["entrypoint"].endswith("--executor ray --address auto")


@pytest.mark.slow
@pytest.mark.parametrize("section", RUN)
def test_the_commands_of_a_section_make_the_run(
    section: str, store: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if section not in IN_CI and not os.environ.get("GRISTMILL_TEST_RAY"):
        pytest.skip("see make test-ray")
    (tmp_path / "small.toml").write_text(LEDGER_RECIPE)
    make_crawl(tmp_path / "crawl")
    (tmp_path / "nvme").mkdir()
    aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    (tmp_path / "s3.env").write_text("".join(f"{name}={value}\n" for name, value in aws.items()))
    put_crawl(tmp_path / "crawl")
    slurm = Slurm(tmp_path / "slurm")
    variables = {**slurm.environment, **write_commands(tmp_path / "cluster")}
    variables["PATH"] = f"{tmp_path / 'cluster' / 'bin'}:{slurm.environment['PATH']}"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def here(text: str) -> str:
        for pattern, replacement in substitutions(tmp_path, port, aws).items():
            text = re.sub(pattern, replacement, text)
        return text

    if section in blocks("yaml"):
        (tmp_path / "rayjob.yaml").write_text(here(blocks("yaml")[section]))
    script = f"set -e\n{here(blocks('sh')[section])}"
    environment = {**os.environ, **variables, "COLUMNS": "200"}
    try:
        done = subprocess.run(
            ["bash", "-c", script], check=False, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        stop_nodes(tmp_path / "cluster")
    if jobs := [*(tmp_path / "slurm" / "jobs").iterdir()]:
        (job,) = jobs
        assert slurm.wait(int(job.name)) == 0, slurm.text(int(job.name), "log")
    monkeypatch.chdir(tmp_path)
    root = mirror.local(RUN[section])
    run = root if root.is_absolute() else tmp_path / root
    inputs = f"s3://{BUCKET}/warc.paths.gz" if mirror.is_mirrored(run) else "crawl/"
    words = ("run", "small.toml", "--set", f"source.paths={inputs}", "--out", "alone", "--executor", "in-process")
    alone = gristmill(*words, cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
    assert digest_of(run) == digest(tmp_path / "alone"), done.stdout + done.stderr


def digest_of(run: Path) -> dict[str, str]:
    """As `digest`, with the files of a run in the bucket fetched."""
    for path in mirror.glob(run, "**/*"):
        mirror.exists(path)
    return digest(run)
