"""Stand-ins for what a machine with torch, numpy, numba and pyarrow alone lacks, so that `pretrain` can be imported.

    pydantic    settings hold their defaults and the values that they are given, which nothing checks
    xxhash      crc32

They are taken where the package itself is missing. A benchmark needs no more of either.
"""

import sys
import zlib
from importlib import import_module
from types import ModuleType
from typing import Any

_REQUIRED = object()


def stand_in() -> list[str]:
    """Put a stand-in into the place of each of the packages that is missing; returns their names."""
    missing = []
    for name, made in (("pydantic", _pydantic), ("xxhash", _xxhash)):
        try:
            import_module(name)
        except ImportError:
            sys.modules[name] = made()
            missing.append(name)
    return missing


class _Default:
    def __init__(self, default: Any = _REQUIRED, *, default_factory: Any = None, **_: Any) -> None:
        self.default, self.factory = default, default_factory

    def made(self, name: str) -> Any:
        value = self.factory() if self.factory is not None else self.default
        if value is _REQUIRED:
            raise TypeError(f"{name}: required and missing")
        return value


class _BaseModel:
    model_config: dict[str, Any] = {}  # noqa: RUF012  # as pydantic has it

    def __init__(self, **values: Any) -> None:
        for cls in reversed(type(self).__mro__):
            for name in vars(cls).get("__annotations__", {}):
                if name == "model_config":
                    continue
                default = getattr(type(self), name, _Default())
                given = (
                    values[name] if name in values else default.made(name) if isinstance(default, _Default) else default
                )
                setattr(self, name, given)

    def model_dump(self, **_: Any) -> dict[str, Any]:
        return {name: one.model_dump() if isinstance(one, _BaseModel) else one for name, one in vars(self).items()}

    def model_copy(self, update: dict[str, Any]) -> "_BaseModel":
        return type(self)(**(vars(self) | update))


def _unused(*_: Any, **__: Any) -> Any:
    """In the place of a decorator, or of a class that is made when a module is imported and not used."""
    return lambda function: function


def _pydantic() -> ModuleType:
    module = ModuleType("pydantic")
    module.BaseModel, module.Field, module.ConfigDict = _BaseModel, _Default, dict  # type: ignore[attr-defined]
    module.ValidationError = ValueError  # type: ignore[attr-defined]
    for name in ("TypeAdapter", "field_validator", "model_validator", "BeforeValidator", "AfterValidator"):
        setattr(module, name, _unused)
    return module


def _xxhash() -> ModuleType:
    module = ModuleType("xxhash")
    module.xxh3_64_intdigest = lambda data, seed=0: zlib.crc32(  # type: ignore[attr-defined]
        data.encode() if isinstance(data, str) else data, seed & 0xFFFFFFFF
    )
    return module
