"""`gristmill apply`: make the run that other settings would have made, without the crawl and without extracting again.

    ledger + texts of RUN ──▶ rules up to extraction decide again ──▶ later stages, measured where they must ──▶ NEW

NEW is an ordinary run: its bytes and its fingerprint are those of `gristmill run RUN/recipe.toml --set …`. Where
that cannot be, the settings are refused before anything is written.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from pipelines.core import failing, languages_of, metric_of
from pipelines.ledger.table import Ledger
from pipelines.numbers import counted
from pipelines.recipe import Recipe, load_recipe
from pipelines.replay.changes import changes_of, command
from pipelines.replay.recall import recalled_stages
from pipelines.run.extracted_texts import early_stages
from pipelines.run.fingerprint import early_differences
from pipelines.run.folder import MadeOf, RunFolder
from pipelines.run.opening import Run, open_folder
from pipelines.run.source_columns import saved_columns
from shards import mirror
from shards.errors import RunError, UserError
from shards.manifest import Chains
from shards.stage import StageConfig
from shards.storage import InputFile
from shards.unit_key import UnitKey


def open_apply(run: Path, settings: Sequence[str], folder: Path, *, overwrite: bool = False) -> Run:
    """The run of RUN's recipe with `settings`, to be made in `folder` from what RUN recorded; new or to be resumed."""
    ledger = Ledger.open(run)
    recipe = load_recipe(str(ledger.run.path(RunFolder.RECIPE)), settings)
    if _lies_in(folder, run):
        raise UserError(f"{folder}: is the run that is read, or lies in it; choose another --out")
    made_of = ledger.run.made_of()
    rerun = command("run", run, settings)
    early = _require_same_extraction(ledger, recipe, made_of, rerun)
    _require_texts(ledger.run, rerun)
    if number := never_extracted(ledger, early):
        raise UserError(
            f"{run}: {counted(number, 'document')} never extracted would come back with these settings; "
            f"to read the crawl again: {rerun}"
        )
    brought = saved_columns(recipe, ledger.run)
    recalled = recalled_stages(ledger, recipe, early, made_of.parts)
    opened = Run(RunFolder(folder), recipe, recorded_inputs(made_of), brought, saved=ledger.run, recalled=recalled)
    open_folder(opened, overwrite=overwrite)
    return opened


def _lies_in(folder: Path, run: Path) -> bool:
    here, there = ((mirror.address(path) or str(path.resolve())).rstrip("/") + "/" for path in (folder, run))
    return here.startswith(there)


def _require_same_extraction(ledger: Ledger, recipe: Recipe, made_of: MadeOf, rerun: str) -> tuple[StageConfig, ...]:
    """The stages up to extraction with the new settings. UserError where they would give other texts or metrics."""
    run, before = ledger.run, ledger.recipe
    old, new = (early_stages(r.passes()[0]) for r in (before, recipe))
    if not old:
        raise UserError(f"{run}: extracts nothing, its sources are text already; run with these settings: {rerun}")
    if before.sources != recipe.sources:
        raise UserError(f"source settings: what is read must be extracted anew; to read it: {rerun}")
    if not before.output.texts:
        raise UserError(f"{run}: keeps no texts (output.texts = false); to extract again: {rerun}")
    for change in changes_of(before, recipe):
        if change.old in old and not change.moves_threshold:
            raise UserError(
                f"{change.name}: is no threshold of a rule but changes what is extracted; to extract again: {rerun}"
            )
    if len(old) != len(new):
        raise UserError(f"{run}: these settings move the stage that extracts; to extract again: {rerun}")
    if other := early_differences(made_of.parts, new):
        more = f" and {len(other) - 1} more" if other[1:] else ""
        raise UserError(
            f"{run}: made by another version of what reads and extracts: {other[0]}{more}; to extract again: {rerun}"
        )
    return new


def _require_texts(run: RunFolder, rerun: str) -> None:
    """Check that every unit is there with its texts, by their size; `SavedReader` compares the checksum."""
    manifests, sizes = run.manifests(), dict(mirror.sizes(run.path(run.TEXTS)))
    if Chains.of(run.made_of().inputs, manifests.sums().links).missing:
        raise RunError(f"{run}: units are missing; `gristmill verify {run}` says what to do")
    for manifest in manifests:
        name = run.texts(UnitKey.parse(manifest.key))
        file, written = run.path(name), manifest.files.get(name)
        if written is None or file not in sizes:
            raise UserError(f"{file}: missing; to extract again: {rerun}")
        if (size := sizes[file]) != written.num_bytes:
            raise UserError(
                f"{file}: has {size:,} bytes, its manifest says {written.num_bytes:,}; to extract again: {rerun}"
            )


def never_extracted(ledger: Ledger, early: Sequence[StageConfig]) -> int:
    """How many documents these stages let pass that have no text, since the run had dropped them before."""
    (extract,) = (config for config in early if config.makes_text)
    live = pc.is_null(ledger.column(extract.measured())).to_numpy(zero_copy_only=False)
    for rule in (rule for config in early for rule in config.rules()):
        if not live.any():
            return 0
        live &= ~failing(metric_of(rule, ledger.column), rule, languages_of(ledger.schema.names, ledger.column))
    return int(np.count_nonzero(live))


def recorded_inputs(made_of: MadeOf) -> dict[str, list[InputFile]]:
    """The inputs by source, as the run's fingerprint has them. The files themselves may be gone."""
    inputs: dict[str, list[InputFile]] = {}
    for name, (num_bytes, digest) in made_of.inputs.items():
        source, _, file = name.split("/", 2)
        inputs.setdefault(source, []).append(InputFile("", file, num_bytes, version=digest))
    return inputs
