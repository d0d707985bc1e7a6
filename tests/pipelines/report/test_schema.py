"""The JSON Schema of `report.json` in the docs is that of the code, and a report has exactly its keys."""

import json
from pathlib import Path
from typing import Any

from pipelines.report.schema import schema_text

SCHEMA = Path(__file__).parents[3] / "docs" / "report.schema.json"


def test_the_documented_schema_is_that_of_the_code() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), "`make schema` writes it"


def test_every_key_is_described() -> None:
    schema = json.loads(schema_text())
    models = [schema, *(model for model in schema["$defs"].values() if "properties" in model)]
    assert len(models) > 25
    for model in models:
        assert model["additionalProperties"] is False
        assert all(key["description"] for key in model["properties"].values()), model["title"]


def conforms(value: Any, part: dict[str, Any], definitions: dict[str, Any]) -> bool:
    """Whether `value` is what the part of a schema describes, for the words that the schema of a report uses."""
    if "$ref" in part:
        return conforms(value, definitions[part["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in part:
        return any(conforms(value, option, definitions) for option in part["anyOf"])
    if "const" in part or "enum" in part:
        return value in part.get("enum", [part.get("const")])
    match part["type"]:
        case "object":
            keys, others = part.get("properties", {}), part.get("additionalProperties")
            if not isinstance(value, dict) or not set(part.get("required", ())) <= value.keys():
                return False
            return all(
                conforms(entry, keys[key], definitions)
                if key in keys
                else others and conforms(entry, others, definitions)
                for key, entry in value.items()
            )
        case "array":
            return isinstance(value, list) and all(conforms(entry, part["items"], definitions) for entry in value)
        case "integer":
            return type(value) is int
        case "number":
            return type(value) in (int, float)
        case name:
            return isinstance(value, {"string": str, "boolean": bool, "null": type(None)}[name])


def test_a_report_conforms_to_the_schema(found: dict[str, Any]) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert conforms(found, schema, schema["$defs"])
    assert not conforms(found | {"units": "3"}, schema, schema["$defs"])
    assert not conforms(found | {"surplus": 3}, schema, schema["$defs"])
