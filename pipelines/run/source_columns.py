"""The columns that the shards of a source bring along: language, scores, titles, whatever they have beside the text.

    shards of a run ──schema of each file──▶ their union, less what the recipe makes anew ──▶ text files ──▶ shards

A row of a file that lacks one of the columns has null there, so all shards that a source becomes have one schema. They
stand in no ledger: no stage has measured them.
"""

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from cleaners.crawl.warc import RECORD
from pipelines.recipe import Recipe
from pipelines.run.extracted_texts import TEXTS
from pipelines.run.folder import RunFolder
from pipelines.run.unit_files import ROW, SIZES
from shards.errors import UserError
from shards.reader import ROWS
from shards.schema import MASKED, PAYLOAD, VERDICT
from shards.sink import open_arrow
from shards.storage import InputFile
from shards.table_columns import plain_type, table_schema

# What the stages of a run know by these names is made by the run itself.
_OWN = {*ROWS.names, *PAYLOAD.names, *RECORD.names, *VERDICT.names, *ROW.names, *SIZES.names}


def source_columns(recipe: Recipe, inputs: Mapping[str, Sequence[InputFile]]) -> dict[str, pa.Schema]:
    """The columns of each source of shards. UserError where two of its files have other types under one name.

    A file that cannot be opened has none; it is reported as damage when it is read.
    """
    found = {}
    for name, source in recipe.sources.items():
        if source.kind != "shards":
            continue
        known = {*_OWN, *_made_anew(recipe), source.text, source.id, source.url, source.date}
        fields: dict[str, pa.Field] = {}
        for file in inputs[name]:
            for field in table_schema(file):
                if field.name not in known:
                    _unite(fields, pa.field(field.name, plain_type(field.type)), f"source.{name}: {file.path}")
        found[name] = _checked(recipe, name, fields.values())
    return found


def saved_columns(recipe: Recipe, run: RunFolder) -> dict[str, pa.Schema]:
    """As `source_columns`, of a finished run that keeps the texts of its documents, less what `recipe` makes anew."""
    found: dict[str, pa.Schema] = {}
    for key in run.units():
        if key.source not in found:
            known = {*TEXTS.names, *_made_anew(recipe)}
            stored = open_arrow(run.path(run.texts(key))).schema
            found[key.source] = pa.schema([field for field in stored if field.name not in known])
    return found


def _made_anew(recipe: Recipe) -> set[str]:
    return {name for _, stage in recipe.stages for name in stage.columns().names}


def _unite(fields: dict[str, pa.Field], field: pa.Field, where: str) -> None:
    """Add a field, or widen the one of its name to hold both: int64 and float64 become float64."""
    before = fields.setdefault(field.name, field)
    try:
        (fields[field.name],) = pa.unify_schemas(
            [pa.schema([before]), pa.schema([field])], promote_options="permissive"
        )
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        raise UserError(
            f"{where}: column {field.name!r} holds {field.type}, and in a file before it {before.type}; give the two "
            "as sources of their own"
        ) from None


def _checked(recipe: Recipe, source: str, fields: Iterable[pa.Field]) -> pa.Schema:
    """The schema of the fields. UserError where a stage would move the text below the masks that they hold."""
    schema = pa.schema(list(fields))
    editing = [stage.name for _, stage in recipe.stages if stage.edits]
    if MASKED.name in schema.names and editing:
        raise UserError(
            f"source.{source}: its shards mark passages by their bytes (column {MASKED.name!r}), and {editing[0]} "
            "edits the text; leave that stage out, or read the shards of a run before the masks"
        )
    return schema
