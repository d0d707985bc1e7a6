"""Literals of JavaScript, read as data. Nothing is evaluated.

Programs write the state of a page into scripts, and not only as JSON: names without quotes, 'single' quotes,
`templates`, comments, late commas, `undefined`, `void 0`, `new Date("…")`, "joined " + "strings", functions among the
values. One call is followed, that of a function literal whose body only assigns and returns literals, as Nuxt 2 and
devalue write them:

    (function(a,b){b.body="…";return {title:a,story:b}}("Mill",{}))   ──▶   {"title": "Mill", "story": {"body": "…"}}

Functions that only decode are applied: `JSON.parse`, `decodeURIComponent`, `atob` and a few more. Any other call is its
argument, or the list of its arguments. Names are None, and so is code: of an item as `a ? b : c` the first operand is
kept.

Time is linear in the characters that are read. Containers below `MAX_DEPTH` are None.
"""

import base64
import re
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import orjson

from cleaners.extraction.json_ld import parse_json

MAX_DEPTH = 100
_MAX_REGEX = 500  # characters: what looks like one and has no end would be read to the end of its line, each time
_MAX_FUNCTIONS = 4  # within each other: the value of each is walked once to put in its arguments

_SPACE = re.compile(r"\s*+")
_STRINGS = {
    mark: re.compile(rf"{mark}((?:[^{mark}\\]++|\\.)*+){mark}", re.DOTALL) for mark in ('"', "'", "`")
}  # fmt: skip
_NAME = re.compile(r"[^\W\d][\w$]*+(?:\.[\w$]++)*+|\$[\w$]*+(?:\.[\w$]++)*+")
_KEY = re.compile(r"[\w$]++")
_NUMBER = re.compile(r"[+-]?(?:0[xXbBoO][\da-fA-F]++|\d++\.?\d*+(?:[eE][+-]?\d++)?|\.\d++(?:[eE][+-]?\d++)?)n?")
_FUNCTION = re.compile(r"function\b\s*+[\w$]*+\s*+\(([\w$,\s]*+)\)\s*+\{")
_TARGET = re.compile(
    r"(?:(?:var|let|const)\s++)?([\w$]++)((?:\.[\w$]++|\[\s*+(?:\d++|\"[^\"\\]*+\")\s*+\])*+)\s*+=(?![=>])"
)
_MEMBER = re.compile(r"\?*+\.[\w$]++")
_STEP = re.compile(r"\.([\w$]++)|\[\s*+\"?([^\"\]]*+)")
_CODE = re.compile(r"(?:async\b\s*+)?(?:function\b|(?:\([^()]*+\)|[\w$]++)\s*+=>)")
_RETURN = re.compile(r"return\b")
_OPENING, _UNARY, _OPERATORS, _AFTER = map(frozenset, ("{[(", "!-+~", "|&?+", ".?=(["))
_OPERATOR = re.compile(r"\|\||&&|\?\?|\+")
_REGEX = re.compile(r"/(?:[^/\\\n\[]++|\\.|\[(?:[^\]\\\n]++|\\.)*+\])++/[a-z]*+")
_SIGN_OR_TEXT = re.compile(r"[\"'`{}()\[\],]|/[/*]")
_PLACE = re.compile(r"\$\{[^{}`]*+\}")  # of a value in a template
_ESCAPE = re.compile(r"\\(?:u\{([\da-fA-F]{1,6})\}|u([\da-fA-F]{4})|x([\da-fA-F]{2})|(\r\n|.))", re.DOTALL)
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "", "\n": "", "\r": "", "\r\n": ""}
_CONSTANTS = {"true": True, "false": False}


class Literal(NamedTuple):
    """A value and where it ends. A value that is cut or goes on as code ends there, with what was read of it."""

    value: Any
    end: int


class _Parameter(NamedTuple):
    """A place that an argument takes."""

    name: str


def read_literal(script: str, at: int) -> Literal:
    """Read the value at `at` of a script, which may be any."""
    reader = _Reader(script, at)
    return Literal(reader.value(0), reader.at)


def unescaped(body: str) -> str:
    """The text of a literal of JavaScript, given without its quotes."""
    if "\\" not in body:
        return body
    try:
        return str(orjson.loads(f'"{body}"'))
    except orjson.JSONDecodeError:
        text = _ESCAPE.sub(_character, body)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _character(escape: re.Match[str]) -> str:
    if digits := escape[1] or escape[2] or escape[3]:
        return chr(min(int(digits, 16), 0x10FFFF))
    return _CONTROLS.get(escape[4], escape[4])


class _Reader:
    """A position in a script. Once `is_broken`, nothing more is read, and containers keep what they have."""

    def __init__(self, text: str, at: int) -> None:
        self.text, self.at = text, at
        self.is_broken = False
        self._parameters: set[str] = set()
        self._num_functions = 0

    def value(self, depth: int) -> Any:
        """Read operands that `+`, `||`, `&&` or `??` join."""
        value = self._operand(depth)
        parts = [value] if isinstance(value, str) else []
        while not self.is_broken and self._next() in _OPERATORS:
            operator = _OPERATOR.match(self.text, self.at)
            if not operator:
                break
            self.at = operator.end()
            right = self._operand(depth)
            if operator[0] == "+":
                if isinstance(right, str):
                    parts.append(right)
            elif operator[0] == "&&" or value is None:
                value, parts = right, [right] if isinstance(right, str) else []
        return "".join(parts) if len(parts) > 1 else value

    def items(self, end: str, depth: int) -> list[Any]:
        """Read the items of a list after its bracket, with the bracket `end` after them."""
        out: list[Any] = []
        while self._goes_on(end):
            self._takes("...")
            if end == ")" and _CODE.match(self.text, self.at):
                self.is_broken = True  # it may hold other data
                break
            out.append(self.value(depth + 1))
            self._skip_rest(end)
        return out

    def _goes_on(self, end: str) -> bool:
        """Whether an item begins here, after commas. The bracket `end` is taken."""
        while not self.is_broken:
            sign = self._next()
            if sign == end:
                self.at += 1
                break
            if sign != ",":
                self.is_broken = not sign
                return not self.is_broken
            self.at += 1
        return False

    def _skip_rest(self, end: str) -> None:
        """Pass over code between an item and the comma or bracket after it."""
        if not self.is_broken and self._next() != "," and self._next() != end:
            self._skip(",")

    def _operand(self, depth: int) -> Any:
        sign = self._next()
        if sign in _STRINGS:
            return self._string(sign)
        if sign in _OPENING:
            if depth >= MAX_DEPTH:
                return self._skip_brackets()
            self.at += 1
            value = (
                self._object(depth) if sign == "{" else self.items("]", depth) if sign == "[" else self._group(depth)
            )
            return self._members(value)
        if match := _NUMBER.match(self.text, self.at) or (sign == "/" and self._regex()):
            self.at = match.end()
            try:
                return float(match[0])
            except ValueError:
                return None
        if sign in _UNARY:
            self.at += 1
            self._inner_operand(depth)
            return None
        match = _NAME.match(self.text, self.at)
        return self._named(match, depth) if match else self._fail()

    def _regex(self) -> re.Match[str] | None:
        return _REGEX.match(self.text, self.at, self.at + _MAX_REGEX)

    def _inner_operand(self, depth: int) -> Any:
        if depth < MAX_DEPTH:
            return self._operand(depth + 1)
        return self._fail()

    def _fail(self) -> Any:
        self.is_broken = True
        return None

    def _next(self) -> str:
        """The next character that is neither white space nor comment, or ""."""
        text = self.text
        while True:
            self.at = at = _SPACE.match(text, self.at).end()  # type: ignore[union-attr]
            sign = text[at : at + 1]
            if sign != "/" or text[at + 1 : at + 2] not in ("/", "*"):
                return sign
            self.at = _found(text, "\n", at) if text[at + 1] == "/" else _found(text, "*/", at + 2)

    def _takes(self, sign: str) -> bool:
        self._next()
        if not self.text.startswith(sign, self.at):
            return False
        self.at += len(sign)
        return True

    def _string(self, mark: str) -> Any:
        match = _STRINGS[mark].match(self.text, self.at)
        if match is None:
            self.at += 1
            return self._fail()
        self.at = match.end()
        return unescaped(_PLACE.sub("", match[1]) if mark == "`" else match[1])

    def _object(self, depth: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        while self._goes_on("}"):
            if self._takes("..."):
                spread = self.value(depth + 1)
                out |= spread if isinstance(spread, dict) else {}
            elif (key := self._key(depth)) is None:
                self.is_broken = True
            elif self._takes(":"):
                out[key] = self.value(depth + 1)
            elif self.text.startswith("(", self.at):  # a method
                self._skip_function()
            elif key in self._parameters:
                out[key] = _Parameter(key)
            self._skip_rest("}")
        return out

    def _key(self, depth: int) -> Any:
        sign = self.text[self.at : self.at + 1]
        if sign == '"' or sign == "'":
            return self._string(sign)
        if sign == "[":
            self.at += 1
            name = self.items("]", depth)
            return name[0] if name and isinstance(name[0], str) else ""
        match = _KEY.match(self.text, self.at)
        if match is None:
            return None
        self.at = match.end()
        return match[0]

    def _group(self, depth: int) -> Any:
        """Read what a "(" began: a call of a function literal, parameters of an arrow function, or a value."""
        self._next()
        if match := _FUNCTION.match(self.text, self.at):
            return self._called(match, depth)
        items = self.items(")", depth)
        return items[-1] if items else None

    def _named(self, match: re.Match[str], depth: int) -> Any:
        """Read what begins with a name: a constant, a function, a call, a parameter."""
        name, self.at = match[0], match.end()
        if name == "function":
            self.at = _found(self.text, "(", self.at) - 1
            return self._skip_function()
        if name in ("new", "void"):
            value = self._inner_operand(depth)
            return value if name == "new" else None
        if name in self._parameters:
            return self._members(_Parameter(name))
        if self._next() != "(":
            return self._members(_CONSTANTS.get(name))
        if depth >= MAX_DEPTH:
            return self._skip_brackets()
        self.at += 1
        return self._members(_decoded(name, self.items(")", depth)))

    def _members(self, value: Any) -> Any:
        """Pass over what is taken or called of a value, as in `"a b".split(" ")`, and over the body of an arrow."""
        while not self.is_broken and (sign := self._next()) in _AFTER:
            if sign in _OPENING:
                self._skip_brackets()
            elif self.text.startswith("=>", self.at):
                return self._skip(",")
            elif match := _MEMBER.match(self.text, self.at):
                self.at = match.end()
                value = None if isinstance(value, _Parameter) else value
            else:
                break
        return value

    def _skip_function(self) -> None:
        """Pass over the parameters and the body of a function."""
        self._skip_brackets()
        self._next()
        self._skip_brackets()

    def _skip_brackets(self) -> None:
        """Pass over a bracket, and all to the one that closes it."""
        self.at += 1
        self._skip("")
        self.at = min(self.at + 1, len(self.text))

    def _skip(self, sign: str) -> None:
        """Pass over code to a `sign` that is in no bracket, or to a bracket that closes none."""
        depth = 0
        while match := _SIGN_OR_TEXT.search(self.text, self.at):
            found, self.at = match[0], match.start()
            if found in _STRINGS:
                string = _STRINGS[found].match(self.text, self.at)
                if string is None:
                    break
                self.at = string.end()
            elif found in ("//", "/*"):
                self._next()
            elif depth == 0 and (found == sign or found in ")]}"):
                return
            else:
                depth += (found in "([{") - (found in ")]}")
                self.at += 1
        self.at = len(self.text)
        self._fail()

    def _called(self, function: re.Match[str], depth: int) -> Any:
        """Read a function literal from its name to the arguments that it is called with; return what it returns."""
        self._num_functions += 1
        if self._num_functions > _MAX_FUNCTIONS or depth >= MAX_DEPTH:
            return self._fail()
        self.at = function.end()
        names = _KEY.findall(function[1])
        outer = self._parameters
        self._parameters = {*outer, *names}
        assigned, value = [], None
        while self._next() and not self.is_broken and not self._takes("}"):
            if match := _RETURN.match(self.text, self.at):
                self.at = match.end()
                value = self.value(depth + 1)
            elif match := _TARGET.match(self.text, self.at):
                self.at = match.end()
                self._parameters.add(match[1])
                assigned.append((match, self.value(depth + 1)))
            else:
                self.is_broken = True  # any other code
            while self._takes(";") or self._takes(","):
                pass
        self._parameters = outer
        is_closed = self._takes(")")
        arguments = self.items(")", depth) if self._takes("(") else []
        if not is_closed:
            self._takes(")")
        given = dict.fromkeys(names) | dict(zip(names, arguments, strict=False))
        return _filled(value, given, assigned, 2 * len(self.text))


def _found(text: str, sign: str, at: int) -> int:
    """The position after the next `sign`, or the end of the text."""
    at = text.find(sign, at)
    return len(text) if at < 0 else at + len(sign)


def _decoded(function: str, arguments: list[Any]) -> Any:
    """What a function that decodes makes of its argument; of other functions, their argument, or all of many."""
    first = arguments[0] if arguments else None
    if function == "Array":
        return []
    if isinstance(first, str):
        match function.removeprefix("window."):
            case "JSON.parse":
                return parse_json(first)
            case "decodeURIComponent" | "decodeURI" | "unescape":
                return unquote(first)
            case "escape" | "encodeURIComponent":
                return quote(first, errors="replace")
            case "atob":
                try:
                    return base64.b64decode(first).decode("utf-8", "replace")
                except ValueError:
                    return None
    return first if len(arguments) == 1 else arguments


def _filled(value: Any, arguments: dict[str, Any], assigned: list[tuple[re.Match[str], Any]], room: int) -> Any:
    """Put the arguments of a call into the value that its function returns.

    A list or an object is put into its first place alone, and strings until they have `room` characters in all: so
    nothing holds itself, and no text of a thousand characters becomes one of a billion.
    """
    for target, what in assigned:
        _assign(arguments, target, what)
    whole = [value]
    stack: list[Any] = [whole]
    seen: set[int] = set()
    while stack:
        container = stack.pop()
        places = container.items() if isinstance(container, dict) else enumerate(container)
        for key, item in list(places):
            if isinstance(item, _Parameter) and item.name in arguments:
                item = arguments[item.name]
                room -= len(item) if isinstance(item, str) else 0
                if room < 0 or id(item) in seen:
                    item = None
                container[key] = item
            if isinstance(item, (list, dict)):
                seen.add(id(item))
                stack.append(item)
    return whole[0]


def _assign(names: dict[str, Any], target: re.Match[str], what: Any) -> None:
    """Give a variable, or a member of one, its value. Items of lists are added in the order of their statements."""
    steps = [name or index for name, index in _STEP.findall(target[2])]
    if not steps:
        names[target[1]] = what
        return
    holder = names.get(target[1])
    for step in steps[:-1]:
        holder = holder.get(step) if isinstance(holder, dict) else None
    if isinstance(holder, dict):
        holder[steps[-1]] = what
    elif isinstance(holder, list):
        holder.append(what)
