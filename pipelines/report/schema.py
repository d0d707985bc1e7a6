"""`docs/report.schema.json`: the JSON Schema of `report.json`, with the comments of the fields as descriptions.

python -m pipelines.report.schema docs/report.schema.json
"""

import inspect
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from pipelines.report.model import Part, Report

_COMMENT = re.compile(r"^    (\w+): .+?  # (.+)$", re.MULTILINE)


def schema_text() -> str:
    """The schema as the file holds it."""
    schema = TypeAdapter(Report).json_schema()
    for model in _models(Part):
        described = schema if model is Report else schema["$defs"].get(model.__name__)
        if described is not None:
            _describe(described, model)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(head | schema, ensure_ascii=False, indent=1) + "\n"


def _models(base: type[Part]) -> Iterator[type[Part]]:
    for model in base.__subclasses__():
        yield model
        yield from _models(model)


def _describe(described: dict[str, Any], model: type[Part]) -> None:
    assert is_dataclass(model)
    comments: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if is_dataclass(base):
            comments |= dict(_COMMENT.findall(inspect.getsource(base)))
    described["description"] = inspect.getdoc(model)
    for field, property in zip(fields(model), described["properties"].values(), strict=True):
        property.pop("title", None)
        property["description"] = comments[field.name]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(schema_text(), encoding="utf-8")
