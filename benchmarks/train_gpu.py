"""Training on one GPU in six minutes, correctness first: `python3 -m benchmarks.train_gpu --out results.jsonl`.

It runs from a checkout and needs torch (2.11 or 2.13), numpy, numba and pyarrow alone. Tokens are made here: random
ones, in documents whose lengths are distributed as those of web pages. Each part is a process with a limit of its own.
Each result is a line of JSON, written as soon as it is known, with `left_out` where the build lacks something, a part
fails or its time is over. `--dry` runs the same lines on a CPU at a tiny size, and its figures mean nothing.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from types import SimpleNamespace
from typing import IO, Any

import numpy as np

from benchmarks.bare_machine import stand_in

stand_in()

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

from pretrain.attention import choose_kernel, documents  # noqa: E402
from pretrain.config import DeviceConfig, ModelConfig, OptimizerConfig, SpikesConfig  # noqa: E402
from pretrain.hardware import Machine, peak_memory  # noqa: E402
from pretrain.micro_batches import DeviceBatch  # noqa: E402
from pretrain.model import Model  # noqa: E402
from pretrain.optim import make_optimizer  # noqa: E402
from pretrain.order.batch import NO_LABEL, Batch, Rows, buffer_length, fill  # noqa: E402
from pretrain.order.groups import Groups  # noqa: E402
from pretrain.order.packing import pack  # noqa: E402
from pretrain.parallel import spread_model  # noqa: E402
from pretrain.presets import PRESETS  # noqa: E402
from pretrain.ranks import Ranks  # noqa: E402
from pretrain.step import Steps  # noqa: E402

Result = dict[str, Any]

TOTAL_S = 355.0
_LEAST_S = 15.0  # in which torch is imported and the device ready
_WARM_UP = 4  # steps, in which code is compiled
_WEB_LENGTHS = (-1.3, 1.1)  # mean and deviation of the logarithm of a document's tokens by those of a row of 2,048


@dataclass(frozen=True)
class Scale:
    """How large a run is."""

    device: torch.device
    T: int = 2048
    small: str = "124m"
    large: str = "1.1b"
    small_vocab: int = 50_304
    large_vocab: int = 32_768
    small_rows: tuple[int, int] = (128, 32)  # of a step, and at once
    large_rows: tuple[int, int] = (64, 16)
    steps: int = 16

    @classmethod
    def dry(cls) -> "Scale":
        rows = (4, 2)
        return cls(torch.device("cpu"), 64, "1m", "1m", 256, 256, rows, rows, 3)


class Setup:
    """A model on the device with its optimizer, as `gristmill pretrain` makes them."""

    def __init__(
        self,
        scale: Scale,
        preset: str,
        vocab: int,
        rows: tuple[int, int],
        *,
        compiled: bool = True,
        recompute: str = "none",
    ) -> None:
        """`rows` of a step, and of a micro-batch."""
        config = ModelConfig(**PRESETS[preset])
        choose_kernel(scale.device, "rope")
        self.scale, self.vocab, (self.batch_rows, at_once) = scale, vocab, rows
        is_compiled = compiled and scale.device.type == "cuda"
        device_config = DeviceConfig(compile=is_compiled, recompute=recompute)  # type: ignore[arg-type]
        with torch.device("meta"):
            model = Model(config, vocab)
        self.spread = spread_model(model, device_config, Ranks(), scale.device)
        self.optimizer = make_optimizer(self.spread.model, OptimizerConfig())
        settings = SimpleNamespace(steps=1 << 20, optimizer=OptimizerConfig(), spikes=SpikesConfig())
        groups = Groups((("made", ""),), np.zeros(1, np.int64), (np.zeros(1, np.uint16),))
        self.steps = Steps(self.spread, self.optimizer, settings, groups, Ranks(), at_once)  # type: ignore[arg-type]

    def batches(self, count: int) -> list[Batch]:
        return [made_batch(self.batch_rows, self.scale.T, self.vocab, seed, self.scale.device) for seed in range(count)]

    def train(self, batches: Iterator[Batch], num_steps: int) -> list[float]:
        """The seconds of each of so many steps, whose figures are read a step late."""
        ends, previous = [time.perf_counter()], None
        for step, batch in zip(range(1, num_steps + 1), batches, strict=False):
            launched = self.steps.launch(batch, step)
            if previous is not None:
                self.steps.read(previous)
                ends.append(time.perf_counter())
            previous = launched
        assert previous is not None
        result = self.steps.read(previous)
        assert result.is_updated, f"loss {result.loss}, gradient norm {result.grad_norm}"
        ends.append(time.perf_counter())
        self.loss = result.loss
        return np.diff(ends).tolist()

    def speed(self, machine: Machine) -> Result:
        """Tokens a second after the warm-up, as the median of steps."""
        made = self.batches(4)
        started = time.perf_counter()
        self.train(cycled(made), _WARM_UP)
        warm_up_s = time.perf_counter() - started
        seconds = statistics.median(self.train(cycled(made), self.scale.steps))
        tokens = statistics.mean(batch.num_labels for batch in made)
        pairs = statistics.mean(batch.sum_squared_lengths() for batch in made)
        rate = self.spread.model.training_flops(int(tokens), int(pairs)) / seconds
        return {
            "tokens_per_s": tokens / seconds,
            "ms_per_step": seconds * 1e3,
            "tokens_per_step": tokens,
            "tflop_per_s": rate / 1e12,
            "mfu": rate / machine.published_flops if machine.published_flops else None,
            "matmul_share": rate / machine.matmul_flops,
            "memory_gb": peak_memory(self.scale.device) / 1e9,
            "warm_up_s": warm_up_s,
            "loss": self.loss,
            "parameters": self.spread.model.num_parameters(),
        }


def cycled(batches: Sequence[Batch]) -> Iterator[Batch]:
    while True:
        yield from batches


def document_lengths(num_tokens: int, T: int, generator: np.random.Generator) -> np.ndarray:
    """int64: lengths of web documents in pieces of at most `T`, of `num_tokens` in all."""
    lengths = (T * np.exp(generator.normal(*_WEB_LENGTHS, num_tokens // 8))).astype(np.int64).clip(1)
    lengths = lengths[: int(np.searchsorted(lengths.cumsum(), num_tokens)) + 1]
    pieces = [piece for length in lengths.tolist() for piece in [T] * (length // T) + [length % T] if piece]
    return np.array(pieces, np.int64)


def made_batch(B: int, T: int, vocab: int, seed: int, device: torch.device) -> Batch:
    """Rows of random tokens, each filled with documents one after the other, in pinned memory for a GPU."""
    generator = np.random.default_rng(seed)
    starts, num_segments = [], []
    pieces = iter(np.tile(document_lengths(B * T, T, generator), 4).tolist())
    for row in range(B):
        at = count = 0
        while at < T:
            starts.append(row * T + at)
            at += next(pieces)
            count += 1
        num_segments.append(count)
    starts.append(B * T)
    tokens = (generator.zipf(1.2, 2 * B * T) % vocab).astype(np.int32)
    size = 2 * B * T + 2 * len(starts) - 1
    buffer = torch.zeros(size, dtype=torch.int32, pin_memory=device.type == "cuda").numpy()
    buffer[: 2 * B * T] = tokens
    labels, edges = buffer[B * T : 2 * B * T], 2 * B * T + len(starts)
    labels[::97] = NO_LABEL
    buffer[2 * B * T : edges] = starts
    num_labels = (labels.reshape(B, T) != NO_LABEL).sum(axis=1)
    return Batch(
        buffer[: B * T].reshape(B, T),
        labels.reshape(B, T),
        buffer[2 * B * T : edges],
        np.array(num_segments, np.int64),
        num_labels,
        np.zeros(B, np.int64),
        buffer[edges:],
        buffer,
    )


# The parts, in their order.


def attention(scale: Scale, machine: Machine) -> Iterator[Result]:
    """Errors against float32, beside those of torch's own attention in bfloat16; time by the number of offsets."""
    device, T = scale.device, scale.T
    B, H, D = (8, 12, 64) if device.type == "cuda" else (2, 4, 16)
    starts = made_batch(B, T, 64, 0, device).starts
    yield {"name": "kernel", "kernel": choose_kernel(device, "rope")}
    for K in (H, H // 4):
        q, k, v, g = (torch.randn(B, T, heads, D, device=device).bfloat16() for heads in (H, K, K, H))
        exact = _by_document([x.float() for x in (q, k, v, g)], starts)
        plain = _by_document([q, k, v, g], starts)
        ours = _with_gradients(documents(starts, T, device).attend, q, k, v, g)
        for name, one, two, oracle in zip(("out", "dq", "dk", "dv"), ours, plain, exact, strict=True):
            error, of_sdpa = (float((x.float() - oracle).norm() / oracle.norm()) for x in (one, two))
            is_near = error <= 2 * of_sdpa + 1e-6
            yield {
                "name": f"{name}, {H} heads over {K}",
                "error": error,
                "of_sdpa_bf16": of_sdpa,
                "at_most_twice": is_near,
            }
    yield from _attention_times(scale)


def _by_document(qkvg: Sequence[torch.Tensor], starts: np.ndarray) -> list[torch.Tensor]:
    """Output and gradients by one document after the other."""

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        lengths = np.diff(starts).tolist()
        segments = zip(*(x.flatten(0, 1).split(lengths) for x in (q, k, v)), strict=True)
        out = [
            F.scaled_dot_product_attention(*(x.transpose(0, 1)[None] for x in one), is_causal=True, enable_gqa=True)
            for one in segments
        ]
        return torch.cat([x[0].transpose(0, 1) for x in out]).view(q.shape)

    return _with_gradients(attend, *qkvg)


def _with_gradients(attend: Callable[..., torch.Tensor], *qkvg: torch.Tensor) -> list[torch.Tensor]:
    q, k, v = (x.detach().clone().requires_grad_() for x in qkvg[:3])
    out = attend(q, k, v)
    return [out.detach(), *torch.autograd.grad(out, (q, k, v), qkvg[3])]


def _attention_times(scale: Scale) -> Iterator[Result]:
    """Forward and backward of the 124M model's attention, by how far the offsets are filled up with their end."""
    device, T = scale.device, scale.T
    B, H, D = (32, 12, 64) if device.type == "cuda" else (2, 4, 16)
    starts = made_batch(B, T, 64, 0, device).starts
    qkvg = [torch.randn(B, T, H, D, device=device).bfloat16() for _ in range(4)]
    pairs = int((np.diff(starts).astype(np.int64) ** 2).sum())
    for name, filled in (("offsets as they are", 0), ("50 times as many", 49 * len(starts) * (device.type == "cuda"))):
        of_rows = documents(np.append(starts, np.full(filled, starts[-1], np.int32)), T, device)
        seconds = timed(device, lambda attend=of_rows.attend: _with_gradients(attend, *qkvg))  # type: ignore[misc]
        # Seven products of Q K or P V size, two forward and five backward; the causal mask leaves half of each.
        rate = 7 * pairs * H * D / seconds / 1e12
        yield {"name": name, "ms": seconds * 1e3, "tflop_per_s": rate, "offsets": len(starts) + filled}


def timed(device: torch.device, run: Callable[[], object], repeats: int = 10) -> float:
    """Seconds of a call, the median after two."""
    seconds = []
    for _ in range(repeats + 2):
        _wait(device)
        started = time.perf_counter()
        run()
        _wait(device)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[2:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def small_compiled(scale: Scale, machine: Machine) -> Iterator[Result]:
    setup = Setup(scale, scale.small, scale.small_vocab, scale.small_rows)
    yield {"name": f"{scale.small} compiled", **setup.speed(machine), "wanted_tokens_per_s": 480_000}


def syncs(scale: Scale, machine: Machine) -> Iterator[Result]:
    """A step in which the host may not wait for the device; compilations after the warm-up, with evaluation between."""
    from torch._dynamo.utils import counters

    setup = Setup(scale, scale.small, scale.small_vocab, scale.small_rows)
    batches = setup.batches(6)
    setup.train(iter(batches[:3]), 3)
    _evaluate(setup, batches[3])
    setup.train(iter(batches[:2]), 2)
    before = counters["stats"]["unique_graphs"]
    if scale.device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            launched = [setup.steps.launch(batch, step) for step, batch in enumerate(batches[3:5], 10)]
            yield {"name": "host waits in a step", "count": 0}
        except RuntimeError as error:
            places = [f"{f.filename.rpartition('/')[2]}:{f.lineno}" for f in extract_tb(error.__traceback__)]
            yield {"name": "host waits in a step", "count": 1, "error": str(error).splitlines()[0], "places": places}
            launched = []
        finally:
            torch.cuda.set_sync_debug_mode("default")
        for one in launched:
            setup.steps.read(one)
    else:
        yield {"name": "host waits in a step", "left_out": "no CUDA"}
    for batch in batches:
        _evaluate(setup, batch)
        setup.train(iter([batch]), 1)
    after = counters["stats"]["unique_graphs"]
    yield {"name": "compilations after the warm-up", "count": after - before, "graphs": after}


def _evaluate(setup: Setup, batch: Batch) -> None:
    for part in DeviceBatch(batch, setup.scale.device).split(setup.scale.small_rows[1]):
        setup.spread.losses(part)


def large_compiled(scale: Scale, machine: Machine) -> Iterator[Result]:
    setup = Setup(scale, scale.large, scale.large_vocab, scale.large_rows)
    speed = setup.speed(machine)
    yield {"name": f"{scale.large} compiled", **speed, "wanted_tokens_per_s": 60_000}


def data_wait(scale: Scale, machine: Machine) -> Iterator[Result]:
    """The share of a step that waits for its batch, which the loader's kernel makes in a thread beside training."""
    from concurrent.futures import ThreadPoolExecutor

    setup = Setup(scale, scale.small, scale.small_vocab, scale.small_rows)
    source = _Made(scale.T, setup.vocab, num_tokens=scale.T * setup.batch_rows * 8)
    length = buffer_length(setup.batch_rows, scale.T, source.rows.max_segments) + 2 * source.rows.num_rows
    pinned = scale.device.type == "cuda"
    buffers = [torch.empty(length, dtype=torch.int32, pin_memory=pinned).numpy() for _ in range(3)]
    waits = []

    def batches() -> Iterator[Batch]:
        with ThreadPoolExecutor(1) as thread:
            coming = thread.submit(source.batch, 0, setup.batch_rows, buffers[0])
            for step in range(1, 1 << 20):
                started = time.perf_counter()
                batch = coming.result()
                waits.append(time.perf_counter() - started)
                coming = thread.submit(source.batch, step, setup.batch_rows, buffers[step % 3])
                yield batch

    stream = batches()
    setup.train(stream, _WARM_UP)
    waits.clear()
    seconds = setup.train(stream, scale.steps)
    started = time.perf_counter()
    made = [source.batch(step, setup.batch_rows, buffers[0]).tokens_BT.size for step in range(10)]
    alone = sum(made) / (time.perf_counter() - started)
    share = statistics.median(waits) / statistics.median(seconds)
    yield {"name": "data wait", "share": share, "wanted_share": 0.005, "loader_tokens_per_s": alone}


class _Made:
    """Packed rows over random tokens in memory, for the loader's kernel."""

    def __init__(self, T: int, vocab: int, num_tokens: int) -> None:
        generator = np.random.default_rng(0)
        lengths = document_lengths(num_tokens, T, generator)
        self._tokens = (generator.zipf(1.2, int((lengths + 1).sum())) % vocab).astype(np.uint16)
        self.rows = Rows.of(pack(lengths, T), np.concatenate([[0], np.cumsum(lengths + 1)]))
        first = np.array([0, len(self._tokens)], np.int64)
        layout = SimpleNamespace(first=first, masked=np.zeros(0, np.int64))
        address = np.array([self._tokens.ctypes.data], np.uint64)
        self._map = SimpleNamespace(layout=layout, addresses=address, item_bytes=2, prepare=lambda *_: None)

    def batch(self, step: int, B: int, into: np.ndarray) -> Batch:
        numbers = (step * B + np.arange(B)) % self.rows.num_rows
        return fill(self._map, self.rows, numbers, into=into)  # type: ignore[arg-type]


def small_eager(scale: Scale, machine: Machine) -> Iterator[Result]:
    setup = Setup(scale, scale.small, scale.small_vocab, scale.small_rows, compiled=False)
    yield {"name": f"{scale.small} eager", **setup.speed(machine)}


def flash(scale: Scale, machine: Machine) -> Iterator[Result]:
    """FlashAttention 2 beside 3, where torch has both."""
    import torch.nn.attention as attention_module

    activate = getattr(attention_module, "activate_flash_attention_impl", None)
    for number in ("FA2", "FA3"):
        try:
            if activate is None:
                raise RuntimeError(f"torch {torch.__version__} cannot choose")
            if number == "FA2":
                attention_module.restore_flash_attention_impl()
            else:
                activate(number)
            rows = list(_attention_times(scale))
        except (RuntimeError, ValueError, ImportError, AttributeError) as error:
            yield {"name": number, "left_out": (str(error).splitlines() or [repr(error)])[0]}
        else:
            yield from ({**row, "name": f"{number}, {row['name']}"} for row in rows)


def memory(scale: Scale, machine: Machine) -> Iterator[Result]:
    """Most memory of a step of the larger model, with and without recomputation."""
    for recompute in ("none", "block"):
        if scale.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        setup = Setup(scale, scale.large, scale.large_vocab, (scale.large_rows[1],) * 2, recompute=recompute)
        seconds = setup.train(cycled(setup.batches(1)), 5)
        yield {
            "name": f"{scale.large}, {scale.large_rows[1]} rows at once, recompute = {recompute}",
            "memory_gb": peak_memory(scale.device) / 1e9,
            "ms_per_step": statistics.median(seconds[3:]) * 1e3,
        }
        del setup


def async_save(scale: Scale, machine: Machine) -> Iterator[Result]:
    """What a checkpoint holds training up for, beside one that is written at once."""
    from pretrain.checkpoint import Checkpoints
    from pretrain.config import CheckpointConfig
    from pretrain.state import TrainState

    setup = Setup(scale, scale.small, scale.small_vocab, (scale.small_rows[1],) * 2, compiled=False)
    setup.train(cycled(setup.batches(1)), 2)
    figures = {}
    for is_asynchronous in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            checkpoints = Checkpoints(
                Path(folder), setup.spread.model, setup.optimizer, CheckpointConfig(asynchronous=is_asynchronous)
            )
            for step in (1, 2):  # the first one makes its room
                started = time.perf_counter()
                checkpoints.save(TrainState(step=step, tokens=0, plan_hash="", identity={}))
                blocked = time.perf_counter() - started
                checkpoints.wait()
                written = time.perf_counter() - started
            figures[is_asynchronous] = blocked
            num_bytes = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 2
            name = "asynchronous" if is_asynchronous else "synchronous"
            yield {"name": f"{name} save", "blocked_s": blocked, "written_s": written, "gb": num_bytes / 1e9}
    yield {"name": "blocked share of a synchronous save", "share": figures[True] / figures[False], "wanted_share": 0.1}


PARTS: dict[str, tuple[Callable[[Scale, Machine], Iterator[Result]], float]] = {
    "attention": (attention, 45),
    "124m": (small_compiled, 90),
    "syncs": (syncs, 70),
    "1.1b": (large_compiled, 90),
    "data-wait": (data_wait, 70),
    "eager": (small_eager, 40),
    "flash": (flash, 30),
    "memory": (memory, 60),
    "async-save": (async_save, 50),
}  # with the seconds that each may take


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, help="a file of JSON lines; standard output if not given")
    parser.add_argument("--dry", action="store_true", help="on a CPU at a tiny size, to see that each line runs")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="these parts")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)  # the process of one part
    given = parser.parse_args()
    if given.part:
        run_part(given.part, Scale.dry() if given.dry else Scale(torch.device("cuda")))
        return
    if not given.dry and not torch.cuda.is_available():
        sys.exit("train_gpu: torch sees no CUDA device; --dry runs each part on a CPU at a tiny size")
    with given.out.open("a") if given.out else nullcontext(sys.stdout) as file:
        run_parts(given.only, dry=given.dry, out=file)


def run_parts(names: Sequence[str], *, dry: bool, out: IO[str]) -> None:
    """Each part in a process of its own, which is killed at its limit, until the time for all is over."""
    began = time.monotonic()
    for name in names:
        left = TOTAL_S - (time.monotonic() - began)
        limit = min(PARTS[name][1], left)
        if left < _LEAST_S:
            _write({"part": name, "left_out": "the time for all parts is over"}, out)
            continue
        command = [sys.executable, "-m", "benchmarks.train_gpu", "--part", name, *["--dry"] * dry]
        with (
            tempfile.TemporaryFile("w+") as errors,
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
            ) as process,
        ):
            killer = _killed_after(process, limit)
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("{"):
                    _write({"part": name, **json.loads(line)}, out)
            code = process.wait()
            killer.cancel()
            if code:
                errors.seek(0)
                last = (errors.read().strip().splitlines() or ["nothing was said"])[-1]
                why = f"not done after {limit:.0f} s" if code == -signal.SIGKILL else last
                _write({"part": name, "left_out": why}, out)


def _killed_after(process: subprocess.Popen[str], seconds: float) -> Any:
    from threading import Timer

    def kill() -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    timer = Timer(seconds, kill)
    timer.daemon = True
    timer.start()
    return timer


def run_part(name: str, scale: Scale) -> None:
    """Print the results of a part as lines of JSON."""
    dtype = torch.bfloat16 if scale.device.type == "cuda" else torch.float32
    machine = Machine.measured(scale.device, dtype)
    rates = {"matmul_tflop_per_s": machine.matmul_flops / 1e12, "published_flops": machine.published_flops}
    _write({"name": "machine", "device": machine.name, "torch": torch.__version__, **rates}, sys.stdout)
    started = time.perf_counter()
    try:
        for result in PARTS[name][0](scale, machine):
            _write({**result, "after_s": round(time.perf_counter() - started, 2)}, sys.stdout)
    except ImportError as error:
        _write({"name": name, "left_out": str(error)}, sys.stdout)


def _write(result: Result, out: IO[str]) -> None:
    out.write(json.dumps(result) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
