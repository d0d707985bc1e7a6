r"""Pages that React Server Components write into scripts: their rows become HTML again.

    self.__next_f.push([1,"5:[\"$\",\"p\",null,{\"children\":[\"One \",[\"$\",\"b\",null,{\"children\":\"two\"}]]}]\n"])

    row 5    an element: ["$", type, key, properties]                  <p>One <b>two</b></p>
    "a:T4,…" a row of 4 bytes of text
    "$a"     the value of row a, "$La" the same when it has come, "$$" a dollar sign

Elements of a program's own ("$L7") are only known by their properties: their children are part of the page, the others
are data, and so are the objects of rows without the elements in them. Each row is taken once, at its first reference,
and what no row refers to is taken in the order of the rows. So the HTML is at most six times as long as the rows.

The form is that of react-server-dom (`ReactFlightClient`), versions 18.3 to 19.2, as Next.js and rsc-html-stream embed
it.
"""

import html
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from cleaners.extraction.json_ld import MAX_DEPTH
from cleaners.extraction.script_literals import read_literal

# Names of the lists that rows are pushed to: of Next.js, of rsc-html-stream (Waku, Parcel, Vite), of Hydrogen 1.
FLIGHT_NAMES = re.compile(r"__next_f|__FLIGHT_DATA|__flight")
_PUSH = re.compile(r"(?:__next_f|__FLIGHT_DATA|__flight)\b[^({\n]{0,60}?push\(\s*+")
_ROW = re.compile(rb"([0-9a-f]*):(?:([TAOoUSsLlGgMmV])([0-9a-f]+),|([A-Z]*))")
_REFERENCE = re.compile(r"\$[L@]?([0-9a-f]+)$")
_TAG = re.compile(r"[a-z][a-z0-9-]*$")
_ATTRIBUTES = {"className": "class", "id": "id", "href": "href", "role": "role", "itemProp": "itemprop", "alt": "alt"}
# Properties that show something else instead: while the page loads, or when it cannot.
_INSTEAD = {"fallback", "loading", "error", "template", "notFound", "not-found", "forbidden", "unauthorized"}
_VOID = {"br", "hr", "img", "input", "link", "meta", "source", "wbr"}


class FlightPage(NamedTuple):
    html: str
    data: list[Any]  # texts and objects of rows, and properties of the program's own elements


class _Markup(str):
    """HTML, which is not escaped."""


def flight_page(scripts: Iterable[str]) -> FlightPage:
    """The page in the rows that scripts push, empty without any."""
    rows = _rows("".join(part for script in scripts for part in _pushed(script)))
    referenced = {name for value in rows.values() for name in _references(value)}
    writer = _Writer(rows)
    for name in list(rows):
        if name in referenced and name != "0":  # the root
            continue
        if isinstance(row := rows.pop(name, None), str):
            writer.data.append(row)
        else:
            writer.write(row)
    return FlightPage("".join(writer.out), writer.data)


def _pushed(script: str) -> Iterable[str]:
    at = 0
    while match := _PUSH.search(script, at):
        value, end = read_literal(script, match.end())
        at = max(match.end(), end)
        if isinstance(value, list) and len(value) > 1 and value[0] == 1:
            value = value[1]
        if isinstance(value, str):
            yield value


def _rows(stream: str) -> dict[str, Any]:
    """The values of rows that have one, by name. A row that is cut is left out, unless it is text."""
    data = stream.encode("utf-8", "replace")
    rows: dict[str, Any] = {}
    at = 0
    while match := _ROW.match(data, at):
        name = match[1].decode()
        if match[2]:
            at = min(match.end() + int(match[3], 16), len(data))
            if match[2] == b"T":
                rows[name] = data[match.end() : at].decode("utf-8", "replace")
            continue
        end = data.find(b"\n", match.end())
        end = len(data) if end < 0 else end
        at = end + 1
        if not match[4]:
            try:
                rows[name] = orjson.loads(data[match.end() : end])
            except orjson.JSONDecodeError:
                continue
    return rows


def _references(value: Any) -> Iterable[str]:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if match := _REFERENCE.match(item):
                yield match[1]
        elif isinstance(item, (list, dict)):
            stack += item.values() if isinstance(item, dict) else item


def _is_element(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) >= 4
        and value[0] == "$"
        and isinstance(value[1], str)
        and isinstance(value[3], dict)
    )


class _Place(NamedTuple):
    """A value to be written, and where."""

    value: Any
    is_child: bool  # of an element: strings are text
    in_line: bool  # text stands beside it


class _Writer:
    """Writes values as HTML. `rows` are those that are left."""

    def __init__(self, rows: dict[str, Any]) -> None:
        self.rows = rows
        self.out: list[str] = []
        self.data: list[Any] = []

    def write(self, root: Any) -> None:
        stack = [_Place(root, False, False)]
        while stack:
            value, is_child, in_line = stack.pop()
            if isinstance(value, _Markup):
                self.out.append(value)
            elif isinstance(value, str) and (value := self._resolved(value)) is not None:
                if not isinstance(value, str):
                    stack.append(_Place(value, is_child, in_line))
                elif is_child:
                    self.out.append(html.escape(value))
            elif _is_element(value):
                stack += reversed(self._opened(value[1], value[3], is_child, in_line))
            elif isinstance(value, list):
                in_line = any(isinstance(item, str) and not _REFERENCE.match(item) for item in value)
                stack += [_Place(item, is_child, in_line) for item in reversed(value)]
            elif isinstance(value, dict):
                elements: list[Any] = []
                self.data.append(self._data(value, elements, 0))
                stack += [_Place(element, False, False) for element in reversed(elements)]
            elif is_child and isinstance(value, int | float) and not isinstance(value, bool):
                self.out.append(str(value))

    def _resolved(self, text: str) -> Any:
        """The value of a row that is left if a string refers to one, else the string, or None for other values."""
        if not text.startswith("$"):
            return text
        if text.startswith("$$"):
            return text[1:]
        match = _REFERENCE.match(text)
        return self.rows.pop(match[1], None) if match else None

    def _opened(self, tag: str, properties: dict[str, Any], is_child: bool, in_line: bool) -> list[_Place]:
        """The parts of an element, in their order."""
        children = properties.get("children")
        if not _TAG.match(tag):
            elements: list[Any] = []
            own = {key: value for key, value in properties.items() if key != "children" and key not in _INSTEAD}
            if own:
                self.data.append(self._data(own, elements, 0))
            parts = [_Place(children, True, False), *(_Place(element, False, False) for element in elements)]
            if in_line:
                return parts
            return [_Place(_Markup("<div>"), True, True), *parts, _Place(_Markup("</div>"), True, True)]
        attributes = "".join(
            f' {name}="{html.escape(value)}"'
            for key, name in _ATTRIBUTES.items()
            if isinstance(value := properties.get(key), str)
        )
        style = properties.get("style")
        if properties.get("hidden") in (True, "") or (isinstance(style, dict) and style.get("display") == "none"):
            attributes += " hidden"
        opened = _Place(_Markup(f"<{tag}{attributes}>"), True, True)
        if tag in _VOID:
            return [opened]
        inner = properties.get("dangerouslySetInnerHTML")
        if isinstance(inner, dict) and isinstance(text := inner.get("__html"), str):
            children = _Markup(text) if isinstance(text := self._resolved(text), str) else None
        return [opened, _Place(children, True, False), _Place(_Markup(f"</{tag}>"), True, True)]

    def _data(self, value: Any, elements: list[Any], depth: int) -> Any:
        """A value with the rows that it refers to. Elements in it, and what is too deep, go to `elements`."""
        if depth > MAX_DEPTH:
            elements.append(value)
            return None
        if isinstance(value, str):
            value = self._resolved(value)
        if _is_element(value):
            elements.append(value)
            return None
        if isinstance(value, list):
            return [self._data(item, elements, depth + 1) for item in value]
        if isinstance(value, dict):
            return {key: self._data(item, elements, depth + 1) for key, item in value.items()}
        return value
