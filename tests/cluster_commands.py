"""Stand-ins for the commands of docs/cluster.md that cannot run here: `ray start` and `ray stop`, which are for the Ray
of a whole machine, `kubectl`, `aws` and `pip`. Ray and gristmill behind them are real."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from shutil import rmtree

import yaml

_HOME = "CLUSTER_STAND_IN"
_OBJECTS = 80_000_000  # bytes of a node's object store; Ray takes no less than 75 MiB


def write_commands(folder: Path) -> dict[str, str]:
    """Write the commands into `folder/bin`; variables of the environment that make them those of this cluster."""
    (folder / "bin").mkdir(parents=True)
    python = shlex.join([sys.executable, __file__])
    commands = {name: f"{python} {name}" for name in _COMMANDS}
    commands["gristmill"] = shlex.join([sys.executable, "-m", "pipelines"])
    for name, words in commands.items():
        command = folder / "bin" / name
        command.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        command.chmod(0o755)
    return {_HOME: str(folder), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}


def stop_nodes(folder: Path) -> None:
    """End the nodes that were started and not stopped."""
    for path in folder.glob("*.node"):
        pid = int(path.read_text())
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            for _ in range(100):
                os.kill(pid, 0)
                time.sleep(0.1)
            os.killpg(pid, signal.SIGKILL)
        rmtree(path.with_suffix(".folder").read_text(), ignore_errors=True)
        path.unlink()


def ray(verb: str, *words: str) -> int:
    match verb:
        case "start":
            given = dict(word.removeprefix("--").partition("=")[::2] for word in words)
            num_cpus = given.pop("num-cpus", "1")
            if "head" in given:
                given["include-dashboard"] = "false"
            _start_node({**given, "num-cpus": num_cpus})
            if "address" in given:
                _wait_for_nodes(given["address"], len([*_folder().glob("*.node")]))
        case "stop":
            stop_nodes(_folder())
        case _:
            return 2
    return 0


def _start_node(options: dict[str, str]) -> None:
    temporary = tempfile.mkdtemp(prefix="gm-ray-")  # short: paths of sockets have at most 107 bytes
    options |= {"temp-dir": temporary, "object-store-memory": str(_OBJECTS)}
    words = [f"--{name}={value}" if value else f"--{name}" for name, value in options.items()]
    # A process that the shell does not wait for, in a session of its own, is the group to end.
    node = subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    number = len([*_folder().glob("*.folder")])
    (_folder() / f"{number}.folder").write_text(temporary)
    (_folder() / f"{number}.node").write_text(str(node.pid))
    if "head" in options:
        for _ in range(600):
            with suppress(OSError), socket.create_connection(("127.0.0.1", int(options["port"]))):
                return
            time.sleep(0.1)


def kubectl(*words: str) -> int:
    state = _folder() / "rayjob.json"
    match words:
        case ("create", "secret", "generic", name, file):
            path = Path(file.removeprefix("--from-env-file="))
            (_folder() / f"{name}.secret").write_text(path.read_text())
        case ("create", "-f", file):
            state.write_text(json.dumps(_run_rayjob(yaml.safe_load(Path(file).read_text()))))
        case ("get", "rayjob", name):
            job = json.loads(state.read_text())
            sys.stdout.write(f"NAME JOB STATUS\n{name} {job['status']}\n")
            return 0 if job["name"] == name else 1
        case ("delete", "rayjob", _):
            state.unlink()
        case _:
            return 2
    return 0


def _run_rayjob(job: dict) -> dict[str, str]:  # type: ignore[type-arg]
    """Make the job's cluster of processes, of one worker with one CPU, and run its entrypoint to its end."""
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["authOptions"]["mode"] == "token"
    (workers,) = cluster["workerGroupSpecs"]
    groups = (cluster["headGroupSpec"], workers)
    for group in groups:
        (container,) = group["template"]["spec"]["containers"]
        assert container["image"]
        for source in container["envFrom"]:
            secret = (_folder() / f"{source['secretRef']['name']}.secret").read_text()
            os.environ.update(line.split("=", 1) for line in secret.splitlines())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    os.environ.update({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": os.urandom(16).hex()})
    _start_node(
        {**cluster["headGroupSpec"]["rayStartParams"], "head": "", "port": str(port), "include-dashboard": "false"}
    )
    assert workers["replicas"] > 0
    _start_node({**workers["rayStartParams"], "address": address, "num-cpus": "1"})
    _wait_for_nodes(address, 2)
    entry = subprocess.run(["bash", "-c", job["spec"]["entrypoint"]], env={**os.environ, "RAY_ADDRESS": address})
    if job["spec"]["shutdownAfterJobFinishes"]:
        stop_nodes(_folder())
    return {"name": job["metadata"]["name"], "status": "FAILED" if entry.returncode else "SUCCEEDED"}


def _wait_for_nodes(address: str, number: int) -> None:
    """Return when so many nodes are there."""
    wait = (
        f"import ray, time; ray.init({address!r}, log_to_driver=False, logging_level='ERROR')\n"
        f"while sum(node['Alive'] for node in ray.nodes()) < {number}: time.sleep(0.2)"
    )
    subprocess.run([sys.executable, "-c", wait], check=True, timeout=120)


def aws(*words: str) -> int:
    return 0 if words[:2] == ("s3", "mb") and words[2].startswith("s3://") else 2


def pip(*words: str) -> int:
    return 0 if words[0] == "install" and words[-1].endswith(".whl[ray]") else 2


def _folder() -> Path:
    return Path(os.environ[_HOME])


_COMMANDS = {"ray": ray, "kubectl": kubectl, "aws": aws, "pip": pip}

if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    sys.exit(_COMMANDS[name](*arguments))
