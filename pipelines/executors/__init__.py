"""Where tasks run: in this process, on a pool of processes, or on a cluster by Ray.

All give the same results in some order, raise the first error, and stop after Ctrl-C at the end of the open batch. A
function that works for long takes a `Watch` beside its task: it asks the watch whether to stop, and tells it how far it
is. Progress is for people only; results never depend on it.

    InProcess     signal handler ──flag──▶ watch ──▶ function
    ProcessPool   signal handler ──flag──▶ parent's loop ──shared flag──▶ watch of each worker ──▶ function
    RayTasks      signal handler ──flag──▶ driver's loop ──actor──▶ watch of each worker ──▶ function

A second Ctrl-C kills the workers.
"""

from pipelines.executors.in_process import InProcess
from pipelines.executors.memory import machine_memory, parse_memory
from pipelines.executors.process_pool import ProcessPool
from pipelines.executors.protocol import Counters, Executor, Job, Watch
from shards.cores import usable_cores
from shards.errors import UserError

__all__ = [
    "Counters",
    "Executor",
    "InProcess",
    "Job",
    "ProcessPool",
    "Watch",
    "machine_memory",
    "make_executor",
    "parse_memory",
]


def make_executor(
    kind: str,
    workers: int | None = None,
    memory: int | None = None,
    address: str | None = None,
    *,
    ship: bool = False,
) -> Executor:
    """The executor that `--executor` names: "in-process", "pool" or "ray".

    `workers` is the most tasks at once; if not given, one for each core of this machine, or of the cluster at
    `address`. With `ship`, its nodes install this gristmill. UserError for options that the executor has no use for.
    """
    if kind == "ray":
        if ship and address is None:
            raise UserError("--ship: is for a cluster of other machines; name it by --address")
        from pipelines.executors.ray_tasks import RayTasks

        return RayTasks(address, workers, memory, ship=ship)
    if address is not None or ship:
        option = f"--address {address}" if address is not None else "--ship"
        raise UserError(f"{option}: is for --executor ray; add that, or leave the option out")
    return ProcessPool(workers or usable_cores(), memory) if kind == "pool" else InProcess(memory)
