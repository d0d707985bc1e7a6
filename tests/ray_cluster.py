"""A real cluster of Ray on this machine: a head that runs no tasks, and nodes that come and go, each with a scratch
folder of its own."""

import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Any

_OBJECTS = 80_000_000  # bytes of a node's object store; Ray takes no less than 75 MiB
_MEMORY = 4_000_000_000


class RayCluster:
    """Driver processes join it by `address`."""

    def __init__(self, temporary: str) -> None:
        from ray.cluster_utils import Cluster

        self._temporary = temporary
        self._number = 0
        self.nodes: list[Any] = []  # that run tasks
        Path("/tmp/ray").mkdir(exist_ok=True)  # where Ray notes the newest cluster of the machine
        head = {"num_cpus": 0, "object_store_memory": _OBJECTS, "include_dashboard": False, "temp_dir": temporary}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def add(self, num_cpus: int = 1, environment: Mapping[str, str] | None = None) -> Any:
        """A new node, which `remove` takes. Its scratch is `scratch(node)`."""
        self._number += 1
        scratch = Path(self._temporary, f"scratch-{self._number}")
        scratch.mkdir()
        node = self._cluster.add_node(
            num_cpus=num_cpus,
            memory=_MEMORY,
            object_store_memory=_OBJECTS,
            env_vars={
                **os.environ,
                "GRISTMILL_SCRATCH": str(scratch),
                "PYTHONPATH": os.pathsep.join(sys.path),  # workers import the functions of tests
                **(environment or {}),
            },
        )
        node.gristmill_scratch = scratch
        self.nodes.append(node)
        return node

    def scratch(self, node: Any) -> Path:
        path: Path = node.gristmill_scratch
        return path

    def remove(self, node: Any) -> None:
        """Kill the node: its raylet, and with that its workers."""
        self.nodes.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)

    def shutdown(self) -> None:
        self._cluster.shutdown()


@contextmanager
def ray_cluster() -> Iterator[RayCluster]:
    """A cluster without nodes for tasks."""
    temporary = tempfile.mkdtemp(prefix="gm-ray-")  # short: paths of sockets have at most 107 bytes
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        cluster = RayCluster(temporary)
        try:
            yield cluster
        finally:
            cluster.shutdown()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        rmtree(temporary, ignore_errors=True)
