"""Commands that train models, from the tokenizer to the proof of a training."""

import logging
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipelines.cli.options import (
    AddressOption,
    ExecutorOption,
    MemoryOption,
    ShardsArgument,
    ShipOption,
    WorkersOption,
    made_executor,
)
from pipelines.cli.printing import say, show, show_all, show_json, this_command
from pipelines.lines import Line, Table
from pipelines.numbers import counted
from shards import mirror
from shards.errors import Interrupted, UserError

if TYPE_CHECKING:
    from pretrain.order.leaks import Leaks
    from pretrain.train import TrainSummary
    from pretrain.verify_run import Proof

TokenizerOutOption = Annotated[Path, typer.Option("--out", help="The tokenizer file.")]
SampleOption = Annotated[int, typer.Option(help="MB of text to learn from.", min=1)]
WeightsOption = Annotated[
    list[str] | None,
    typer.Option(
        help="SOURCE=NUMBER, or a TRAIN.toml: how much of each source the sample has; all alike if not given."
    ),
]
TrainSetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a setting of TRAIN.toml: KEY=VALUE, like steps=400 or optimizer.lr=1e-3."),
]
TokenizerMemoryOption = Annotated[
    str | None,
    typer.Option("--memory", help="Memory of the process, like 2GB; half of the machine's if not given."),
]
BosOption = Annotated[str | None, typer.Option(help="Special token that begins a text, if its name is unknown.")]
EosOption = Annotated[str | None, typer.Option(help="Special token that ends a text, if its name is unknown.")]

_PROBLEMS_SHOWN = 20


def train_tokenizer(
    shards: ShardsArgument,
    to: TokenizerOutOption = Path("tokenizer.json"),
    kind: Annotated[Literal["bpe", "unigram", "wordpiece"], typer.Option(help="The model of the tokenizer.")] = "bpe",
    vocab_size: Annotated[int, typer.Option(help="Entries, with 256 bytes and the special tokens.")] = 32_768,
    sample_mb: SampleOption = 1_000,
    weights: WeightsOption = None,
    digits: Annotated[int, typer.Option(help="Digits in a token at most.", min=1, max=3)] = 3,
    memory: TokenizerMemoryOption = None,
) -> None:
    """Train a tokenizer on clean shards: byte-level BPE, byte-level Unigram or WordPiece."""
    from pretrain.tokenizing import tokenizer_training

    trained = tokenizer_training.train_tokenizer(
        shards,
        to,
        vocab_size=vocab_size,
        sample_bytes=sample_mb * 1_000_000,
        kind=kind,
        weights=_source_weights(weights),
        max_digits=digits,
        max_memory=_max_memory(memory),
        report=say,
    )
    show(f"wrote {to}: {trained.vocab_size:,} entries")


def extend_tokenizer(
    base: Annotated[Path, typer.Argument(help="The tokenizer.json of a BPE, byte-level or SentencePiece's.")],
    shards: ShardsArgument,
    add: Annotated[int, typer.Option(help="New entries; their ids follow the old ones.", min=1)],
    to: TokenizerOutOption = Path("tokenizer.json"),
    sample_mb: SampleOption = 1_000,
    weights: WeightsOption = None,
    memory: TokenizerMemoryOption = None,
    bos: BosOption = None,
    eos: EosOption = None,
) -> None:
    """Add entries to a tokenizer that others trained, learned from clean shards. The old ids stay."""
    from pretrain.tokenizing import tokenizer_extension

    extended = tokenizer_extension.extend_tokenizer(
        base,
        shards,
        to,
        num_new=add,
        sample_bytes=sample_mb * 1_000_000,
        weights=_source_weights(weights),
        max_memory=_max_memory(memory),
        report=say,
        bos=bos,
        eos=eos,
    )
    show(f"wrote {to}: {extended.vocab_size:,} entries, the last {add:,} of them new")


def report_tokenizer(
    tokenizer: Annotated[Path, typer.Argument(help="A tokenizer.json.")],
    shards: ShardsArgument,
    sample_mb: Annotated[int, typer.Option(help="MB of text to measure.", min=1)] = 50,
    extend: Annotated[int, typer.Option(help="New entries of an extension to measure.", min=0)] = 0,
    weights: WeightsOption = None,
    memory: TokenizerMemoryOption = None,
    bos: BosOption = None,
    eos: EosOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a tokenizer: bytes a token by source and language, unused entries, what an extension would gain."""
    from dataclasses import asdict

    from pipelines.verbs import tokenizer_report
    from pretrain.tokenizing.tokenizer_report import report_tokenizer

    measured = report_tokenizer(
        tokenizer,
        shards,
        sample_bytes=sample_mb * 1_000_000,
        num_new=extend,
        weights=_source_weights(weights),
        max_memory=_max_memory(memory),
        report=say,
        bos=bos,
        eos=eos,
    )
    if as_json:
        show_json(asdict(measured))
    else:
        show_all(tokenizer_report.lines(measured))


def tokenize(
    shards: ShardsArgument,
    tokenizer: Annotated[Path, typer.Option(help="From `gristmill tokenizer train`, or another tokenizer.json.")],
    to: Annotated[
        Path,
        typer.Option(
            "--out", help="Gets one folder for each source; may be a URL.", parser=mirror.local, metavar="PATH"
        ),
    ],
    held_out: Annotated[float, typer.Option(help="Fraction of the documents kept for evaluation.")] = 0.01,
    repeat_by: Annotated[
        str | None,
        typer.Option(help="Column that says how often an epoch has a document: rehydrate.weight, or copies."),
    ] = None,
    bos: BosOption = None,
    eos: EosOption = None,
    bucket: Annotated[
        str | None, typer.Option(help="Column that a mixture may tell documents apart by: a quality score, or copies.")
    ] = None,
    executor: ExecutorOption = "pool",
    workers: WorkersOption = None,
    memory: MemoryOption = None,
    address: AddressOption = None,
    ship: ShipOption = False,
) -> None:
    """Turn shards into token shards that training maps into memory. The same command resumes."""
    from pretrain.tokenizing.tokenize import tokenize_shards

    try:
        with made_executor(executor, workers, memory, address, ship) as made:
            sources = tokenize_shards(
                shards,
                tokenizer,
                to,
                held_out_fraction=held_out,
                weight_column=repeat_by,
                bucket_column=bucket,
                report=say,
                executor=made,
                bos=bos,
                eos=eos,
            )
    except Interrupted:
        raise Interrupted(f"interrupted; finished shards are safe. To resume: {this_command()}") from None
    show(f"wrote {to}: the sources {', '.join(sources)}")


def instructions(
    files: Annotated[
        list[Path],
        typer.Argument(help="JSON lines or a JSON array: instruction, input, output, or messages.", metavar="FILES..."),
    ],
    to: Annotated[Path, typer.Option(help="Gets a text shard for each file; its name is that of the source.")],
) -> None:
    """Turn instructions with answers into text shards to tokenize, in which the prompts are masked."""
    from pretrain.tokenizing.instructions import write_instructions

    write_instructions(files, to, say)
    show(f'wrote {to}: tokenize it, and train on it with init = "MODEL"')


def export_tokens(
    tokens: Annotated[
        Path,
        typer.Argument(help="The token folder of a source, or its URL.", parser=mirror.local, metavar="TOKENS/SOURCE"),
    ],
    to: Annotated[Path, typer.Option(help="A folder of their own.")],
    format: Annotated[Literal["megatron", "mds"], typer.Option(help="Megatron-LM's, or MosaicML Streaming's.")],
) -> None:
    """Write token shards as other tools read them: Megatron-LM's .bin and .idx, or MDS."""
    from pretrain.interop.token_export import export_tokens

    exported = export_tokens(tokens, to, format)
    counts = " and ".join(f"{counted(count, 'document')} {split}" for split, count in exported.num_documents.items())
    show(f"wrote {to}: {counts or 'no documents'}")
    if exported.num_unmasked:
        show(f"{counted(exported.num_unmasked, 'masked token')} are learned there, since {format} knows no masks")


def pretrain(
    config: Annotated[Path, typer.Argument(help="TRAIN.toml")],
    settings: TrainSetOption = None,
    verify: Annotated[bool, typer.Option("--verify", help="Read and check all tokens first.")] = False,
    continued: Annotated[
        bool, typer.Option("--continue", help="Go on with other steps, weights or further sources.")
    ] = False,
) -> None:
    """Train a model on token shards. The same command resumes."""
    if find_spec("torch") is None:
        raise UserError("training needs the extra `train`: pip install 'gristmill[train]'")
    from pretrain.config import load_config

    overrides = dict(map(_key_value, settings or []))
    load_config(config, overrides)  # a mistake in it is told before torch is imported, which takes seconds
    from pipelines.cli.training_display import TrainingDisplay
    from pretrain.ranks import end_rank, leads
    from pretrain.train import train_model

    if not leads():
        logging.disable(logging.WARNING)  # which the process that leads gives too
    try:
        with TrainingDisplay() as display:
            summary = train_model(
                config,
                overrides=overrides,
                progress=display,
                planned=display.planned,
                verify=verify,
                continued=continued,
            )
    except Interrupted as error:
        launcher = "torchrun … " if "TORCHELASTIC_RUN_ID" in os.environ else ""
        raise Interrupted(f"{error}. To resume: {launcher}{this_command()}") from None
    if leads():
        show_all(_summary_lines(summary))
    end_rank()


def trace(
    model: Annotated[Path, typer.Argument(help="The folder of a training, or its TRAIN.toml.")],
    step: Annotated[int, typer.Option(help="The training step, as metrics.jsonl counts them.", min=1)],
    rank: Annotated[int, typer.Option(help="Only the rows of this rank, from 0.", min=0)] = 0,
    world: Annotated[int, typer.Option(help="Number of ranks that share a step.", min=1)] = 1,
    text: Annotated[bool, typer.Option("--text", help="Show the text of each piece.")] = False,
) -> None:
    """List the pieces of documents that a training step saw, with their records in the crawl."""
    from pretrain.order.trace import trace_step

    for segment in trace_step(model, step, rank=rank, world=world, with_text=text):
        origin = segment.origin
        masked = f" ({segment.num_masked} masked)" if segment.num_masked else ""
        bucket = f" bucket {origin.bucket}" if origin.bucket else ""
        record = f" {origin.warc_file} offset {origin.warc_offset}" if origin.warc_file else ""
        row = f" row {origin.ledger_row}" if origin.ledger_row >= 0 else ""
        show(
            f"row {segment.batch_row}: {segment.source} epoch {segment.epoch}{bucket} {origin.id} "
            f"tokens {segment.start}-{segment.end}{masked} {origin.url} unit {origin.unit}{row}{record}"
        )
        if text:
            show(f"    {segment.text}")


def verify_run(model: Annotated[Path, typer.Argument(help="The folder of a training, or its TRAIN.toml.")]) -> None:
    """Prove that a training used each row as its plan promises; exit 1 and say what is wrong if anything is."""
    from pretrain.verify_run import verify_run as verify

    proof = verify(model)
    if proof.problems:
        show_all(proof.problems[:_PROBLEMS_SHOWN])
        if (more := len(proof.problems) - _PROBLEMS_SHOWN) > 0:
            show(f"… {counted(more, 'more finding')}")
        raise typer.Exit(1)
    show_all(_proof_lines(model, proof))


def mixture(config: Annotated[Path, typer.Argument(help="TRAIN.toml")], settings: TrainSetOption = None) -> None:
    """Show how much of each source a training uses, and when it begins to repeat it."""
    from pretrain.config import load_config
    from pretrain.order.leaks import held_out_leaks
    from pretrain.order.ledger import PASSES, epoch_ledger
    from pretrain.order.plan import make_plan

    plan = make_plan(load_config(config, dict(map(_key_value, settings or []))), check=False)
    header = ("source", "tokens", "share", "trained on", "epochs", *(f"{k} at" for k in PASSES))
    rows = [
        (
            line.source,
            f"{line.num_tokens:,}",
            f"{line.share:.3f}",
            f"{line.num_trained_tokens:,}",
            f"{line.epochs:.2f}",
            *("-" if tokens is None else f"{tokens:,}" for tokens in line.passes.values()),
        )
        for line in epoch_ledger(plan)
    ]
    show_all([Table(header, tuple(rows)), _leak_line(held_out_leaks(plan))])
    plan.mixture.check(plan.num_places)


def _leak_line(leaks: "Leaks") -> str:
    held_out = counted(leaks.num_held_out, "held-out text")
    if not leaks.met:
        return f"{held_out}, none of which is trained on"
    met = ", ".join(f"{count:,} in source {source}" for source, count in leaks.met.items())
    return f"{held_out}, of which some are trained on: {met}; tokenize all sources with one --held-out"


def _source_weights(options: list[str] | None) -> dict[str, float] | None:
    """The weights of sources that --weights gives; those of a TRAIN.toml for a file of that kind."""
    if not options:
        return None
    weights: dict[str, float] = {}
    for option in options:
        if option.endswith(".toml"):
            from pretrain.config import load_config

            for source in load_config(Path(option), {}).source.values():
                name = Path(source.tokens).name  # the folder of a source's tokens is called as that of its shards
                weights[name] = weights.get(name, 0) + source.weight
            continue
        name, _, weight = option.rpartition("=")
        try:
            weights[name] = float(weight)
        except ValueError:
            raise UserError(f"--weights {option}: expected SOURCE=NUMBER or a TRAIN.toml") from None
    return weights


def _max_memory(option: str | None) -> int:
    from pipelines.executors import machine_memory, parse_memory

    return parse_memory(option) if option is not None else machine_memory() // 2


def _key_value(setting: str) -> tuple[str, str]:
    key, equals, value = setting.partition("=")
    if not equals:
        raise UserError(f"--set {setting}: expected KEY=VALUE")
    return key, value


def _proof_lines(model: Path, proof: "Proof") -> Iterator[Line]:
    rows = [
        (use.source, f"{use.num_rows:,}", f"{use.num_used:,}", f"{use.epochs:.2f}", f"{use.num_tokens:,}")
        for use in proof.sources
    ]
    yield Table(("source", "rows an epoch", "rows used", "epochs", "tokens"), tuple(rows))
    if proof.num_unmarked:
        yield f"{counted(proof.num_unmarked, 'step')} without a checksum: their tokens and sources were compared alone"
    if proof.pending:
        yield f"a continuation with other {', '.join(proof.pending)} has no checkpoint yet"
    continued = f", other weights or sources after step {proof.continued_from:,}" if proof.continued_from else ""
    sizes = ((proof.steps, "step"), (proof.tokens, "token"), (proof.num_checkpoints, "checkpoint"))
    left_out = f", {counted(proof.num_left_out, 'row')} left out after spikes" if proof.num_left_out else ""
    done = ", ".join(counted(number, noun) for number, noun in sizes)
    yield f"{model}: {done}{continued}{left_out}: each row as planned"


def _summary_lines(summary: "TrainSummary") -> Iterator[Line]:
    before = summary.held_out_before
    yield Table(
        ("source", *(("bits per byte before",) if before else ()), "after" if before else "bits per byte"),
        tuple(
            (source, *((f"{before[source]:.4f}",) if before else ()), f"{after:.4f}")
            for source, after in summary.held_out_after.items()
        ),
    )
    sizes = ((summary.num_parameters, "parameter"), (summary.steps, "step"), (summary.tokens, "token"))
    yield f"{', '.join(counted(number, noun) for number, noun in sizes)}, in {summary.out}"
