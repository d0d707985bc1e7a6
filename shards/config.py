"""Settings: frozen, typed, and refused at load with the key path of the mistake.

Every configurable thing is a `Config` subclass beside the code that it configures, with the published values as
defaults. An unknown key or a wrong type is the user's mistake and is reported in one line:

    recipe.toml: stage[3] gopher_quality.min_words: Input should be a valid integer, found 'fifty'
"""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from shards.errors import UserError
from shards.limits import check_limits

# Messages for those errors of pydantic that speak of Python's types.
_IN_TOML = {
    "tuple_type": 'expected an array like ["en"]',
    "dict_type": "expected a table like { key = value }",
}


class Config(BaseModel):
    """Base of all settings: immutable and picklable, without unknown keys, type conversions, inf and nan."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def parse(cls, values: dict[str, Any], where: str) -> Self:
        """The settings in `values`. UserError for bad ones, whose message names the key after `where`."""
        try:
            # TOML has arrays only; strict mode would refuse a list for a tuple field.
            return cls.model_validate(_tuples(values, where))
        except ValidationError as error:
            raise UserError(_one_line(error, where, cls)) from None


def table_like(example: str) -> Callable[[object], dict[Any, Any]]:
    """A validator of settings that are a table in TOML and pairs in Python, where they can be hashed.

    It gives the table of either form, or a ValueError that shows `example`.
    """

    def table(value: object) -> dict[Any, Any]:
        if isinstance(value, dict):
            return value
        if not isinstance(value, tuple) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
            raise ValueError(f"expected a table like {example}")
        return dict(value)

    return table


def load_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; UserError where it cannot be read or parsed."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid TOML: {error}") from None
    except OSError as error:
        check_limits(path, error)
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def _tuples(value: Any, where: str) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_tuples(v, where) for v in value)
    if isinstance(value, dict):
        return {k: _tuples(v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, int) and abs(value) >= 1 << 63:
        raise UserError(f"{where}: the number {str(value)[:24]} is too large; whole numbers have 64 bits")
    return value


def _one_line(error: ValidationError, where: str, cls: type[BaseModel]) -> str:
    problems = []
    for e in error.errors():
        path = ".".join(str(part) for part in e["loc"])
        key = f"{where}.{path}" if path else where
        if e["type"] == "extra_forbidden":
            known = _table_of(cls, e["loc"][:-1]).model_fields
            problems.append(f"{key}: unknown key; known are {', '.join(sorted(known))}")
        elif e["type"] == "missing":
            problems.append(f"{key}: required and missing; set it")
        elif e["type"] in _IN_TOML:
            problems.append(f"{key}: {_IN_TOML[e['type']]}, found {e['input']!r}")
        else:
            problems.append(f"{key}: {e['msg'].removeprefix('Value error, ')}, found {e['input']!r}")
    return "; ".join(problems)


def _table_of(cls: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel]:
    """The settings class at a path of names of fields; keys of tables and indices of arrays lie between them."""
    for part in loc:
        field = cls.model_fields.get(str(part))
        cls = (_class_in(field.annotation) if field is not None else None) or cls
    return cls


def _class_in(annotation: Any) -> type[BaseModel] | None:
    """The first settings class that an annotation like `dict[str, C]` or `C | None` names; None where there is none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_class_in, get_args(annotation))), None)
