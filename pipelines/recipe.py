"""A recipe: one TOML file that names the sources and, in order, every stage. The passes of a run follow from it.

    [[stage]]                 local local local │ global global │ local │ global
    kind = "gopher_quality"   ──── pass 0 ───────────────────── ▏── pass 1 ─────

A local stage works on a batch; a global one compares all rows of the run. Neighbouring local stages form one pass over
the rows, and the global stages after them end it. `KINDS` is the table from a recipe's `kind` to its class: a new kind
is one file in `cleaners/` or `dedup/` and one line here.
"""

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import tomli_w
from pydantic import Field

from cleaners.assets.listfile import list_file
from cleaners.c4 import C4Config
from cleaners.chinese_quality import ChineseQualityConfig
from cleaners.classifier import ClassifierConfig
from cleaners.extract import ExtractConfig
from cleaners.fineweb import FineWebConfig
from cleaners.gopher_quality import GopherQualityConfig
from cleaners.gopher_repetition import GopherRepetitionConfig
from cleaners.language import LanguageConfig
from cleaners.language_guess import LanguageGuessConfig
from cleaners.opt_out import OptOutConfig
from cleaners.page import PageConfig
from cleaners.pii import PiiConfig
from cleaners.refinedweb_lines import RefinedWebLinesConfig
from cleaners.rehydrate import RehydrateConfig
from cleaners.textfix import TextFixConfig
from cleaners.url import UrlConfig
from dedup.decontaminate import DecontaminateConfig
from dedup.exact import ExactConfig
from dedup.minhash import MinHashConfig
from dedup.ngram_overlap import OverlapConfig
from dedup.paragraphs import ParagraphsConfig
from dedup.same_record import SAME_RECORD
from dedup.substring import SubstringConfig
from dedup.top_share import TopShareConfig
from dedup.url_dedup import UrlDedupConfig
from shards import mirror
from shards.address import shown
from shards.config import Config, load_toml
from shards.errors import UserError
from shards.exchange import GlobalStageConfig
from shards.schema import MASKED
from shards.source import SourceConfig
from shards.stage import Before, StageConfig

AnyStage = StageConfig | GlobalStageConfig

_PLACES = ("paths", "root", "requests_per_second")  # where a source's bytes come from, and how fast
_SETTING = re.compile(r"[a-z_]+: ")  # a refusal that begins with the setting at fault

KINDS: dict[str, type[AnyStage]] = {
    "url": UrlConfig,
    "page": PageConfig,
    "opt_out": OptOutConfig,
    "language_guess": LanguageGuessConfig,
    "extract": ExtractConfig,
    "language": LanguageConfig,
    "gopher_repetition": GopherRepetitionConfig,
    "gopher_quality": GopherQualityConfig,
    "refinedweb_lines": RefinedWebLinesConfig,
    "fineweb": FineWebConfig,
    "c4": C4Config,
    "chinese_quality": ChineseQualityConfig,
    "pii": PiiConfig,
    "textfix": TextFixConfig,
    "classifier": ClassifierConfig,
    "top_share": TopShareConfig,
    "decontaminate": DecontaminateConfig,
    "exact": ExactConfig,
    "minhash": MinHashConfig,
    "ngram_overlap": OverlapConfig,
    "paragraphs": ParagraphsConfig,
    "rehydrate": RehydrateConfig,
    "substring": SubstringConfig,
    "url_dedup": UrlDedupConfig,
}


class OutputConfig(Config):
    """`[output]` of a recipe."""

    dropped_per_rule: int = 1000  # texts kept in `dropped/` for each drop reason, those of the smallest ids; -1 is all
    texts: bool = True  # extracted texts are kept in `texts/`, for `apply` and `explain`


class AlarmsConfig(Config):
    """`[alarms]` of a recipe: what is reported, never what is kept."""

    max_group: int = Field(default=1000, ge=1)  # largest cluster, in documents, that raises no alarm
    max_source_lost_fraction: float = Field(default=0.5, ge=0, le=1)  # of documents or characters, to all deduplication
    min_source_documents: int = Field(default=100, ge=1)  # smaller sources and domains raise no alarm
    max_rule_dropped_fraction: float = Field(default=0.8, ge=0, le=1)  # of a language's documents, by a rule on text
    min_language_documents: int = Field(default=20, ge=1)  # fewer in a language raise no alarm


@dataclass(frozen=True)
class Pass:
    """Neighbouring local stages, and the global stages that end them."""

    number: int
    local: tuple[StageConfig, ...]
    global_: tuple[GlobalStageConfig, ...]  # in the first pass with `same_record` before all others


@dataclass(frozen=True)
class Recipe:
    name: str
    about: str
    sources: dict[str, SourceConfig]
    stages: tuple[tuple[str, AnyStage], ...]  # (kind, settings)
    output: OutputConfig
    alarms: AlarmsConfig

    def passes(self) -> tuple[Pass, ...]:
        """Each pass: its local stages, then the global ones that end it. There is always a first one."""
        groups: list[tuple[list[StageConfig], list[GlobalStageConfig]]] = [([], [])]
        for _, stage in self.stages:
            if isinstance(stage, GlobalStageConfig):
                groups[-1][1].append(stage)
            else:
                if groups[-1][1]:
                    groups.append(([], []))
                groups[-1][0].append(stage)
        groups[0][1].insert(0, SAME_RECORD)
        return tuple(Pass(i, tuple(local), tuple(global_)) for i, (local, global_) in enumerate(groups))

    def files(self) -> dict[str, Path]:
        """Files and folders of this machine that stages read, by their names in `shards.brought`."""
        stages = [stage for _, stage in self.stages]
        lists = (list_file(reference) for stage in stages for reference in stage.lists().values())
        return dict(found for found in lists if found) | {k: v for stage in stages for k, v in stage.files().items()}

    def local_stages(self) -> Iterator[StageConfig]:
        """In recipe order."""
        return (stage for _, stage in self.stages if isinstance(stage, StageConfig))

    def global_stages(self) -> Iterator[GlobalStageConfig]:
        """In recipe order, without `same_record`, which every run has."""
        return (stage for _, stage in self.stages if isinstance(stage, GlobalStageConfig))

    def resolved(self, *, paths: bool = True) -> dict[str, Any]:
        """Every setting with its value, defaults filled in, as plain data; without paths if `paths` is False."""
        stages = [{"kind": kind} | _plain(stage) for kind, stage in self.stages]
        sources = {name: _plain(source) for name, source in self.sources.items()}
        if not paths:
            sources = {n: {k: v for k, v in source.items() if k not in _PLACES} for n, source in sources.items()}
            stages = [{k: v for k, v in stage.items() if k != "index"} for stage in stages]
        resolved = {
            "name": self.name,
            "about": self.about,
            "source": sources,
            "output": _plain(self.output),
            "stage": stages,
        }
        return resolved | ({"alarms": _plain(self.alarms)} if paths else {})  # no byte of a shard depends on them

    def without_secrets(self) -> Self:
        """The recipe with URLs as they are shown: without passwords, and without queries, which may be signatures."""
        sources = {
            name: source.model_copy(update={"paths": tuple(map(shown, source.paths)), "root": shown(source.root)})
            for name, source in self.sources.items()
        }
        return replace(self, sources=sources)

    def to_toml(self, *, paths: bool = True) -> str:
        return tomli_w.dumps(_without_none(self.resolved(paths=paths)))


def _plain(config: Config) -> dict[str, Any]:
    return config.model_dump(mode="json")


def _without_none(value: Any) -> Any:
    """TOML has no null: a setting that is None is left out, which means the same."""
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return [_without_none(v) for v in value] if isinstance(value, list) else value


def builtin_names() -> list[str]:
    return sorted(
        f.name.removesuffix(".toml") for f in files("pipelines.recipes").iterdir() if f.name.endswith(".toml")
    )


def recipe_text(name_or_path: str) -> tuple[str, str]:
    """(TOML text, name for messages) of a built-in recipe or a file."""
    if name_or_path in builtin_names():
        return files("pipelines.recipes").joinpath(f"{name_or_path}.toml").read_text(encoding="utf-8"), name_or_path
    path = mirror.local(name_or_path)
    if not mirror.exists(path):
        known = ", ".join(builtin_names())
        raise UserError(f"{name_or_path}: neither a recipe file nor a built-in recipe; built-in are {known}")
    load_toml(path)  # for its messages
    return path.read_text(encoding="utf-8-sig"), path.name


def load_recipe(name_or_path: str, settings: Sequence[str] = (), inputs: Sequence[str] = ()) -> Recipe:
    """The recipe with `inputs` for the paths of its one source, then `--set key=value` settings applied.

    Every mistake is a UserError with its key path.
    """
    text, where = recipe_text(name_or_path)
    values = tomllib.loads(text)
    if inputs:
        _take_inputs(values, inputs, where)
    for setting in settings:
        _apply(values, setting, where)
    return parse_recipe(values, where)


def parse_recipe(values: dict[str, Any], where: str) -> Recipe:
    known = {"name", "about", "source", "stage", "output", "alarms"}
    for key in values.keys() - known:
        raise UserError(f"{where}: {key}: unknown key; known are {', '.join(sorted(known))}")
    sources = _table(values.get("source", {}), f"{where}: source")
    if not sources:
        raise UserError(f"{where}: no [source.<name>] table; a recipe reads from at least one source")
    for name, table in sources.items():
        _table(table, f"{where}: source.{_word(name, f'{where}: source')}")
    tables = values.get("stage", [])
    if not isinstance(tables, list):
        raise UserError(f"{where}: stage: expected tables [[stage]], found {tables!r}")
    stages = tuple(_stage(table, i, where) for i, table in enumerate(tables))
    recipe = Recipe(
        name=_word(values.get("name", Path(where).stem), f"{where}: name"),
        about=str(values.get("about", "")).strip(),
        sources={name: SourceConfig.parse(table, f"{where}: source.{name}") for name, table in sources.items()},
        stages=stages,
        output=OutputConfig.parse(_table(values.get("output", {}), f"{where}: output"), f"{where}: output"),
        alarms=AlarmsConfig.parse(_table(values.get("alarms", {}), f"{where}: alarms"), f"{where}: alarms"),
    )
    _check_stages(recipe, where)
    return recipe


def _check_stages(recipe: Recipe, where: str) -> None:
    """What each setting may say by itself, and the recipe as a whole still cannot mean."""
    names = [stage.name for _, stage in recipe.stages]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"{where}: two stages are named {double!r}; give one of them another `name`")
    before = Before(tuple(recipe.sources))
    for _, stage in recipe.stages:
        if stage.name == SAME_RECORD.name:
            raise UserError(f"{where}: same_record: the name of the stage that every run has; choose another `name`")
        if (refusal := stage.refusal(before)) is not None:
            raise UserError(f"{where}: {stage.name}{'.' if _SETTING.match(refusal) else ': '}{refusal}")
        for column in stage.columns().names if isinstance(stage, StageConfig) else [stage.name]:
            if column in before.columns and (column != "text" or before.columns[column] == stage.name):
                raise UserError(
                    f"{where}: {before.columns[column]} and {stage.name} both give {column!r}; leave one of them out"
                )
        before = _after(before, stage)
    _check_masks(recipe, where)
    _check_pages(recipe, where)


def _after(before: Before, stage: AnyStage) -> Before:
    """What the stage after `stage` may build on."""
    if not isinstance(stage, StageConfig):
        columns = {**before.columns, stage.name: stage.name}
        return replace(before, columns=columns, added=before.added | set(stage.columns().names))
    numbers = {f.name for f in stage.carried() if pa.types.is_integer(f.type) or pa.types.is_floating(f.type)}
    kept = frozenset(stage.kept_languages)
    return replace(
        before,
        columns={**before.columns, **dict.fromkeys(stage.columns().names, stage.name)},
        carried=before.carried | numbers,
        languages=before.languages & kept if before.languages and kept else before.languages | kept,
    )


def _check_masks(recipe: Recipe, where: str) -> None:
    """Masks are byte offsets of the text, so no later stage may edit it."""
    masks = ""
    for _, stage in recipe.stages:
        if masks and stage.edits:
            raise UserError(
                f"{where}: {stage.name}: edits the text in which {masks} marks passages by their bytes; move it up"
            )
        if MASKED in stage.columns():
            masks = stage.name


def _check_pages(recipe: Recipe, where: str) -> None:
    """Pages become text in the first pass, and a source of pages needs a stage that does it."""
    first, *later = recipe.passes()
    for stage in (stage for pass_ in later for stage in pass_.local):
        if stage.reads_pages:
            raise UserError(
                f"{where}: {stage.name}: stands after deduplication, where pages are text already; move it up"
            )
    for name, source in recipe.sources.items():
        if source.has_pages and not any(stage.makes_text for stage in first.local):
            raise UserError(
                f"{where}: source.{name} is of kind {source.kind}, and no stage of kind `extract` makes text of "
                "its pages"
            )


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{where}: expected a table, found {value!r}")
    return value


def _word(value: Any, where: str) -> str:
    """Names become folders and parts of column names."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_-]+", value):
        raise UserError(f"{where}: expected a name of letters, digits, _ and -, found {value!r}")
    return value


def _stage(table: Any, index: int, where: str) -> tuple[str, AnyStage]:
    if not isinstance(table, dict) or not isinstance(table.get("kind"), str):
        raise UserError(f"{where}: stage[{index}].kind: required; kinds are {', '.join(KINDS)}")
    kind = table["kind"]
    if kind not in KINDS:
        raise UserError(f"{where}: stage[{index}].kind: no kind {kind!r}; kinds are {', '.join(KINDS)}")
    settings = {"name": kind} | {k: v for k, v in table.items() if k != "kind"}
    _word(settings["name"], f"{where}: stage[{index}].name")
    return kind, KINDS[kind].parse(settings, f"{where}: stage[{index}] {settings['name']}")


def _take_inputs(values: dict[str, Any], inputs: Sequence[str], where: str) -> None:
    sources = _table(values.get("source", {}), f"{where}: source")
    if len(sources) > 1:
        raise UserError(
            f"{inputs[0]}: {where} has the sources {', '.join(sources)}; "
            f"name one of them: --set source.{next(iter(sources))}.paths={inputs[0]}"
        )
    for name, source in sources.items():
        _table(source, f"{where}: source.{name}")["paths"] = [*inputs]


def _apply(values: dict[str, Any], setting: str, where: str) -> None:
    """`gopher_quality.min_words=30`, `source.paths=DIR` (where there is one source), `output.dropped_per_rule=0`."""
    key, equals, raw = setting.partition("=")
    if not equals or "." not in key or key.endswith("."):
        raise UserError(f"--set {setting}: expected STAGE.KEY=VALUE, source.KEY=VALUE or output.KEY=VALUE")
    table, _, field = key.rpartition(".")
    value: Any = raw
    if field != "paths" or raw.lstrip().startswith(("[", '"')):
        try:
            parsed = tomllib.loads(f"value = {raw}")
            value = parsed["value"] if len(parsed) == 1 else raw
        except tomllib.TOMLDecodeError:
            pass  # a word without quotation marks
    if field == "paths" and not isinstance(value, list):
        value = [value]
    _find_table(values, table, setting, where)[field] = value


def _find_table(values: dict[str, Any], table: str, setting: str, where: str) -> dict[str, Any]:
    sources = _table(values.setdefault("source", {}), f"{where}: source")
    stages = {t.get("name", t.get("kind")): t for t in values.get("stage", []) if isinstance(t, dict)}
    tables = {f"source.{name}": source for name, source in sources.items()} | stages
    tables["output"] = values.setdefault("output", {})
    tables["alarms"] = values.setdefault("alarms", {})
    if table == "source" and len(sources) == 1:
        (table,) = (f"source.{name}" for name in sources)
    if table not in tables:
        raise UserError(f"--set {setting}: {where} has no {table!r}; it has {', '.join(map(str, tables))}")
    return _table(tables[table], f"{where}: {table}")
