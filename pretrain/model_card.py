"""The model card of an exported model: what it was made of, so that a reader can make it again."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pretrain.config import load_config
from pretrain.metrics import EVALUATIONS, read_records
from pretrain.order.ledger import epoch_ledger
from pretrain.order.plan import SETTINGS, make_plan
from pretrain.saved_model import SavedModel
from pretrain.state import TrainState
from shards.errors import GristmillError

_NOT_KNOWN = "not known"


def model_card(saved: SavedModel, dtype: str, cleaned_by: Sequence[str]) -> str:
    """README.md, with the header that the Hugging Face Hub reads."""
    config, state = saved.config, saved.folder.state
    kind = "Qwen3" if config.qk_norm else "Llama"
    num_parameters = sum(tensor.numel() for tensor in saved.weights.values())
    lines = ["---", "library_name: transformers", "pipeline_tag: text-generation", "---", ""]
    lines += [f"# {_name(saved)}", ""]
    lines += [f"A decoder of {num_parameters:,} parameters in the shape of {kind}, trained with Gristmill.", ""]
    facts = {
        "Layers, width, heads, key-value heads": f"{config.num_layers}, {config.width}, {config.num_heads}, "
        f"{config.num_kv_heads}",
        "Context": f"{saved.max_length:,} tokens",
        "Vocabulary": f"{saved.tokenizer.vocab_size:,}; tokenizer sha256 `{saved.tokenizer.sha256}`",
        "Weights": f"{dtype}, " + ("averaged over steps (`optimizer.ema`)" if saved.is_averaged else "as trained"),
    }
    if state is not None:
        facts |= {
            "Steps, tokens": f"{state.step:,}, {state.tokens:,}",
            "Plan": f"`{state.plan_hash}`",
            "Training loss of the last step": _NOT_KNOWN if state.loss is None else f"{state.loss:.4f} nats a token",
        }
    lines += [*_table(("", ""), facts.items()), ""]
    lines += ["## Text", ""]
    lines += [*(f"- {line}" for line in cleaned_by or ["The run that cleaned it was not named (`--run`)."]), ""]
    if state is not None:
        assert saved.folder.checkpoint is not None
        out = saved.folder.checkpoint.parents[1]
        lines += [*_mixture(out, state), "", "## Evaluation", "", *_evaluation(out, state), ""]
    return "\n".join(lines)


def _name(saved: SavedModel) -> str:
    checkpoint = saved.folder.checkpoint
    return (checkpoint.parents[1] if checkpoint else saved.folder.path).resolve().name


def _mixture(out: Path, state: TrainState) -> Iterator[str]:
    """Each source with its share and epochs; without the token folders its weight alone."""
    try:
        plan = make_plan(load_config(out / SETTINGS, {"steps": str(max(1, state.step))}), check=False)
        yield from _table(
            ("Source", "Share", "Tokens trained on", "Epochs", "sha256 of its tokens"),
            (
                (
                    line.source,
                    f"{line.share:.3f}",
                    f"{line.num_trained_tokens:,}",
                    f"{line.epochs:.2f}",
                    f"`{plan.token_digests[f'source.{line.source}.tokens'][:16]}`",
                )
                for line in epoch_ledger(plan)
            ),
        )
    except GristmillError:
        weights = state.phases[0][1] if state.phases else {}
        yield "Weights of the sources at the beginning; the token folders, which would tell epochs, are not there."
        yield ""
        yield from _table(("Source", "Weight"), ((name, f"{weight:g}") for name, weight in weights.items()))


def _evaluation(out: Path, state: TrainState) -> Iterator[str]:
    """The last records of the training up to this step."""
    records = [record for record in read_records(out / EVALUATIONS) if record["step"] <= state.step]
    if not records:
        yield "None was recorded."
        return
    last = records[-1]
    yield (
        f"After step {last['step']:,}, on documents that were never trained on. Bits per byte count every UTF-8 byte "
        "of the text and the bits of every token, the end of the document included."
    )
    yield ""
    yield from _table(
        ("Source", "Bits per byte"),
        ((name, _figure(value)) for name, value in last.get("held_out_bits_per_byte", {}).items()),
    )
    if tasks := last.get("tasks"):
        yield ""
        rows = ((task, name, _figure(value)) for task, figures in tasks.items() for name, value in figures.items())
        yield from _table(("Task", "Figure", "Value"), rows)


def _figure(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _table(headings: Sequence[str], rows: Any) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(headings)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
