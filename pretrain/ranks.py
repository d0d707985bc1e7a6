"""The processes of a training: one, or those that torchrun starts on one machine or several.

    torchrun --nproc-per-node 8 -m pipelines pretrain train.toml

    rank 0            locks the folder, makes the plan, writes metrics and settings, prints
    the other ranks   map the plan that rank 0 has made, and are silent

An error of one rank ends all, and the first rank that has one tells it. What every rank must know is summed over them
on the device, so no rank waits for another on the host.
"""

import itertools
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shards.errors import GristmillError, RunError, UserError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributed import Store  # type: ignore[attr-defined]

_FAILED, _LED = "failed", "led"  # keys of the store
_LOOK_S = 0.05  # between two looks at the store; a wait in it would let no signal through
_trainings = itertools.count()  # of this process; each has keys of its own


def leads() -> bool:
    """Whether this process is the one that prints."""
    return os.environ.get("RANK", "0") == "0"


@dataclass(frozen=True)
class Ranks:
    """This process among those of its training."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0  # on its machine: the number of its device
    _store: "Store | None" = None

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def sum(self, tensor: "Tensor") -> "Tensor":
        """The same tensor with the sum over all ranks; on CUDA the host does not wait for it."""
        if self.world > 1:
            import torch.distributed as dist

            dist.all_reduce(tensor)
        return tensor

    def wait(self) -> None:
        """Wait until all ranks are here."""
        if self.world > 1:
            import torch.distributed as dist

            dist.barrier()

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """The block is run by rank 0, and then by the others; where rank 0 fails in it, they end."""
        if self._store is None:
            yield
            return
        if not self.leads:
            while not self._store.check([_LED]):
                if self._store.check([_FAILED]):
                    raise RunError("rank 0 has failed")
                time.sleep(_LOOK_S)
        yield
        if self.leads:
            self._store.set(_LED, "")

    def rows_of(self, batch_size: int) -> int:
        """Rows of each rank in a step. UserError where the ranks cannot have equally many."""
        if batch_size % self.world:
            raise UserError(
                f"batch_size {batch_size} does not divide by the {self.world} processes of torchrun; change one of them"
            )
        return batch_size // self.world


@contextmanager
def joined() -> Iterator[Ranks]:
    """The ranks that torchrun names in RANK, WORLD_SIZE and LOCAL_RANK, able to sum; one rank without it.

    At the end of the block, or where it fails, they part. All ranks but the first that fails exit without a word, with
    the exit code that its error has.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Ranks()
        return
    import torch
    import torch.distributed as dist

    rank = int(os.environ["RANK"])
    shared, _, _ = next(dist.rendezvous("env://"))  # type: ignore[attr-defined]
    store = dist.PrefixStore(f"gristmill-{next(_trainings)}", shared)  # type: ignore[attr-defined]
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    own = dist.PrefixStore("group", store)  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=own, rank=rank, world_size=world)
    try:
        yield Ranks(rank, world, int(os.environ.get("LOCAL_RANK", "0")), store)
    except (
        GristmillError,
        RuntimeError,
        OSError,
    ) as error:  # the group stays: leaving it would wait for ranks that are stuck
        ours = _told(error)
        if store.add(_FAILED, 1) > 1:
            sys.exit(ours.exit_code if isinstance(ours, GristmillError) else RunError.exit_code)
        raise ours from (None if ours is error else error)
    dist.destroy_process_group()


def end_rank() -> None:
    """End a process that is one of several with exit code 0; does nothing in one that is alone.

    Python's own end is left out. FSDP2 keeps its group and thus gloo's threads until then, and one that asks for the
    interpreter lock while Python ends is taken for a crash (2 of 60 ends of 2 ranks): torchrun would report a failure.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _told(error: Exception) -> Exception:
    """The error, or for one that another rank's death causes a line that says so."""
    import torch.distributed as dist

    if isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error)):
        return RunError(
            "another process of the training has died; its own messages or those of the system, such as of memory, say "
            "why; the same command resumes"
        )
    return error
