"""JSON lines as they are written: lines of an array, objects spread over lines, and values of any type.

    {"id": 1, "text": "…"}          an object a line
    [{"id": 1, "text": "…"},        the same as an array, with a comma after each object
    {"id": 2, "text": "…"}]

`doc.text` names the key "doc.text", or the key "text" of the object "doc". Every ValueError here is the cause of a
damaged line, in words that begin alike for lines with the same fault.
"""

import json
from codecs import BOM_UTF8
from typing import Any

import orjson

_ARRAY = "a JSON array on one line; write an object a line, for example with: jq -c '.[]'"
SPREAD = "JSON that is spread over several lines; write an object a line, for example with: jq -c ."
CRAWL = 'records of a crawl (WARC, ARC), and no JSON lines; set kind = "warc", or "wet" where they are texts'
DEEP = "an object that is nested too deep, more than about 1,000 levels; write it flat, or leave the line out"
_NULS = "a line of NUL bytes; the file was cut by a crash"
_NULS_BESIDE = "a line with NUL bytes before or after it; the file was cut by a crash"
_BETWEEN = b", \t\r\n"  # bytes around the objects of an array
_KEYS_SHOWN = 10
_MISSING = object()


def is_spread(line: bytes) -> bool:
    """Whether the first line of a file opens an object that goes on in the next line."""
    return line.split() in ([b"{"], [b"[{"], [b"[", b"{"])


def is_crawl(line: bytes) -> bool:
    """Whether the first line of a file begins a WARC record, or the one that an ARC file has about itself."""
    return line.startswith((b"WARC/1.", b"WARC/0.", b"filedesc://"))


def is_bracket(line: bytes) -> bool:
    """Whether the line opens or closes an array, and holds nothing else."""
    return line.strip(_BETWEEN) in (b"[", b"]")


def parse(line: bytes, id_key: str) -> dict[str, Any]:
    """The object of a line. ValueError for anything else, RecursionError for what is `DEEP`.

    `json.loads` parses what orjson refuses (NaN, a byte order mark) or, in an id, would round.
    """
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return _parse_slowly(line)
    if isinstance(found, dict) and isinstance(value(found, id_key), float):
        found = json.loads(line)
    return _object(found)


def _parse_slowly(line: bytes) -> dict[str, Any]:
    content = line.strip()
    if content.startswith(b"\0\0") or content.endswith(b"\0\0"):
        raise ValueError(_NULS_BESIDE if content.strip(b"\0") else _NULS)
    try:
        return _object(json.loads(line))
    except UnicodeDecodeError as error:
        raise ValueError(f"a line that is not UTF-8: byte {error.start}; convert the file: iconv -t UTF-8") from None
    except json.JSONDecodeError as error:
        element = line.removeprefix(BOM_UTF8).strip(_BETWEEN).removeprefix(b"[").removesuffix(b"]").strip(_BETWEEN)
        try:
            return _object(json.loads(element))
        except ValueError:
            raise ValueError(f"a line that is not JSON: {error}") from None


def _object(found: Any) -> dict[str, Any]:
    if isinstance(found, dict):
        return found
    raise ValueError(_ARRAY if isinstance(found, list) else f"a line that is no object: {type(found).__name__}")


def value(found: dict[str, Any], path: str) -> Any:
    """What stands under the key `path`, or under the keys between its dots; None where nothing does."""
    result = _lookup(found, path)
    return None if result is _MISSING else result


def text(found: dict[str, Any], path: str) -> str:
    """The text under `path`; "" for null. ValueError where there is no such key, or no text under it."""
    result = _lookup(found, path)
    if result is _MISSING:
        keys = ", ".join(list(found)[:_KEYS_SHOWN])
        raise ValueError(f"no key {path!r}; there are {keys}" if found else f"no key {path!r}; the object is empty")
    if result is None:
        return ""
    if not isinstance(result, str):
        raise ValueError(f"{path!r} is not text but {type(result).__name__}")
    return result


def name(found: dict[str, Any], path: str) -> str:
    """The id under `path`; "" for a missing one: null, NaN or an empty text. 0 is an id."""
    result = value(found, path)
    if result is None or result != result:
        return ""
    if isinstance(result, bytes):
        return result.hex()
    return json.dumps(result, ensure_ascii=False, default=str) if isinstance(result, (dict, list)) else str(result)


def address(found: dict[str, Any], path: str) -> str:
    """The address under `path`, the first one of a list; "" where there is none."""
    result = value(found, path)
    if isinstance(result, list):
        result = next((item for item in result if isinstance(item, str)), None)
    return result if isinstance(result, str) else ""


def date(found: dict[str, Any], path: str) -> str:
    """The date under `path` as it stands there; "" for a missing one, and for a list or an object."""
    result = value(found, path)
    is_one = result is not None and result == result and not isinstance(result, (dict, list))
    return str(result) if is_one else ""


def _lookup(found: dict[str, Any], path: str) -> Any:
    if path in found or "." not in path:
        return found.get(path, _MISSING)
    result: Any = found
    for key in path.split("."):
        if not isinstance(result, dict) or key not in result:
            return _MISSING
        result = result[key]
    return result
