"""Records of a training for programs that draw them: TensorBoard in OUT/tensorboard, Weights & Biases in OUT/wandb.

Both are optional packages, asked for in [monitor]. They get what metrics.jsonl, held_out.jsonl and samples.jsonl hold.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

from pretrain.config import TrainConfig
from pretrain.metrics import Record
from shards.errors import UserError

Tracker = Callable[[Record], None]

_FIGURES = (
    "loss", "lr", "grad_norm", "tokens", "tokens_per_s", "tflop_per_s", "mfu", "matmul_share", "data_wait",
    "memory_bytes",
)  # fmt: skip
_TABLES = ("loss_by_source", "loss_by_bucket", "held_out_bits_per_byte")


def check_trackers(config: TrainConfig) -> None:
    """UserError where a package that the settings ask for is missing."""
    for key, is_wanted in (("tensorboard", config.monitor.tensorboard), ("wandb", config.monitor.wandb is not None)):
        if is_wanted and find_spec(key) is None:
            raise UserError(f"monitor.{key}: needs the package {key}: pip install {key}, or leave the setting out")


@contextmanager
def trackers(config: TrainConfig, first_step: int, progress: Tracker, *, is_leader: bool = True) -> Iterator[Tracker]:
    """`progress` and what the settings ask for besides, until the end of the block.

    Steps after `first_step` are told anew. Of several ranks the one that leads has them.
    """
    with ExitStack() as stack:
        told = [progress]
        if config.monitor.tensorboard and is_leader:
            told.append(stack.enter_context(_tensorboard(Path(config.out), first_step)))
        if config.monitor.wandb is not None and is_leader:
            told.append(stack.enter_context(_wandb(config, config.monitor.wandb)))

        def track(record: Record) -> None:
            for tell in told:
                tell(record)

        yield track


def scalars(record: Record) -> dict[str, float]:
    """The numbers of a record by the name under which they are drawn."""
    named = {name: record.get(name) for name in _FIGURES}
    named |= {f"{table}/{name}": value for table in _TABLES for name, value in record.get(table, {}).items()}
    for task, figures in record.get("tasks", {}).items():
        named |= {f"tasks/{task}/{name}": value for name, value in figures.items()}
    return {name: value for name, value in named.items() if value is not None}


@contextmanager
def _tensorboard(out: Path, first_step: int) -> Iterator[Tracker]:
    from torch.utils.tensorboard import SummaryWriter

    # What an earlier start told of later steps, which are done again, is taken back.
    writer = SummaryWriter(str(out / "tensorboard"), purge_step=first_step + 1)

    def track(record: Record) -> None:
        for name, value in scalars(record).items():
            writer.add_scalar(name, value, record["step"])
        if "sample" in record:
            text = f"{record['prompt']}{record['sample']}"
            writer.add_text(record["prompt"] or "document", text, record["step"])

    try:
        yield track
    finally:
        writer.close()


@contextmanager
def _wandb(config: TrainConfig, project: str) -> Iterator[Tracker]:
    import wandb

    out = Path(config.out)
    name = out / "wandb" / "run-id"  # a resumed training is the same run there
    name.parent.mkdir(parents=True, exist_ok=True)
    if not name.exists():
        name.write_text(secrets.token_hex(4))
    run = wandb.init(
        project=project,
        dir=str(out),
        id=name.read_text(),
        name=out.name,
        resume="allow",
        config=config.model_dump(),
        settings=wandb.Settings(console="off", silent=True),
    )

    def track(record: Record) -> None:
        if values := scalars(record):
            run.log(values, step=record["step"])
        if "sample" in record:
            run.log({"sample": f"{record['prompt']}{record['sample']}"}, step=record["step"])

    try:
        yield track
    finally:
        run.finish()
