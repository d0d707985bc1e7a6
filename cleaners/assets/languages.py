"""Limits and stop words of Gopher's rules for quality by language: FineWeb2's, from `lists/languages.toml`.

A language goes by its code of lid.176 (`ru`) or by FineWeb2's and GlotLID's (`rus_Cyrl`). One that is not in the list
has no stop words and no limits: these rules do not apply to it. Rows without a language are taken for English.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from shards.stage import OTHER_LANGUAGES, Limits

ENGLISH_CODES = ENGLISH, _ = ("en", "eng_Latn")  # of lid.176, and of FineWeb2 and GlotLID


@dataclass(frozen=True)
class Language:
    """What the list says of a language."""

    min_mean_word_length: float | None = None  # characters; None: no limit
    max_mean_word_length: float | None = None
    min_alpha_word_fraction: float | None = None
    stop_words: tuple[str, ...] = ()  # none: the rule on stop words does not apply
    spaced: bool = True  # whether its words can be counted: they stand between spaces, or a segmenter cuts them


@cache
def languages() -> Mapping[str, Language]:
    """The languages of the list, by each code that they go by."""
    tables = tomllib.loads(files("cleaners.assets").joinpath("lists/languages.toml").read_text(encoding="utf-8"))
    known = {code: _language(table) for code, table in tables.items()}
    aliases = {alias: code for code, table in tables.items() for alias in table["from"].split()}
    return (
        {alias: known[code] for alias, code in aliases.items()} | dict.fromkeys(ENGLISH_CODES, known[ENGLISH]) | known
    )


def language(code: str | None) -> Language:
    """What applies to rows in the language `code`, and to those without a language if it is None."""
    return languages().get(ENGLISH if code is None else code, Language())


@cache
def limits(setting: str) -> Mapping[str, Limits]:
    """The limits by language that the setting named `min_…` or `max_…` has by default."""
    values = {code: getattr(entry, setting) for code, entry in _with_others()}
    return {code: (value, None) if setting.startswith("min_") else (None, value) for code, value in values.items()}


@cache
def limits_where(trait: Literal["stop_words", "spaced"], own: Limits) -> Mapping[str, Limits]:
    """The limits `own` in languages that have the trait, and none in the others."""
    return {code: own if getattr(entry, trait) else (None, None) for code, entry in _with_others()}


def _with_others() -> Iterable[tuple[str, Language]]:
    return {**languages(), OTHER_LANGUAGES: Language()}.items()


def _language(table: Mapping[str, Any]) -> Language:
    low, high = table.get("mean_word_length", (None, None))
    return Language(
        min_mean_word_length=low,
        max_mean_word_length=high,
        min_alpha_word_fraction=table.get("min_alpha_word_fraction"),
        stop_words=tuple(table.get("stop_words", ())),
        spaced=table.get("spaced", True),
    )
