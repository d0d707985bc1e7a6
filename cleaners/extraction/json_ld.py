"""JSON in scripts, and the texts of JSON-LD.

JSON of pages is broken in many ways: wrapped in comments or CDATA, with bare line ends in strings, with commas before
brackets. JSON that two simple repairs do not mend is left out. Nothing here raises, and time is linear.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import orjson

from cleaners.extraction.html import attributes
from cleaners.extraction.html.nodes import Tree, attribute_of
from cleaners.extraction.html.tags import SCRIPT, TAGS
from cleaners.extraction.prose import MIN_LINE_WORDS, distinct, num_words, plain_lines, plain_text, unescape

MAX_DEPTH = 60
_LD_TYPES = {"application/ld+json", "application/json+ld"}
_WRAPPING = re.compile(r"^(?:\s*(?:<!--|//\s*<!\[CDATA\[|/\*\s*<!\[CDATA\[\s*\*/|<!\[CDATA\[))+")
_CONTROL = re.compile(r"[\x00-\x1f]+")
_LATE_COMMA = re.compile(r",\s*(?=[\]}])")
_DECODER = json.JSONDecoder(strict=False)
_META = TAGS["meta"]
_META_BODIES = {"articlebody", "text", "recipeingredient", "recipeinstructions"}
_POSTS = {"discussionforumposting", "question", "answer", "comment", "socialmediaposting", "blogposting"}
_INSTRUCTIONS = {"recipe", "howto"}
_DESCRIBED = {"product", "jobposting", "event", "recipe", "course", "book", "videoobject", "place", "hotel"}
_ANSWERS = ("acceptedAnswer", "suggestedAnswer")
_PARTS = ("itemListElement", "step", "steps")  # of a list of steps, in the order in which they are shown


def scripts(data: np.ndarray, tree: Tree, is_wanted: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """(type, content) of the scripts whose type is wanted ("" for scripts without one), in the order of the page.

    Types are in lower case. Parameters, as in "application/ld+json; charset=utf-8", are ignored.
    """
    nodes = np.flatnonzero(tree.nodes["tag"] == SCRIPT)
    nodes = nodes[tree.nodes["after"][nodes] > nodes + 1]  # most have a `src` and no content
    starts, ends = (tree.nodes[name][nodes + 1].tolist() for name in ("start", "end"))
    for start, end, values in zip(starts, ends, attribute_values(data, tree, nodes.tolist()), strict=True):
        kind = values.get(attributes.TYPE, "").split(";")[0].strip().lower()
        if is_wanted(kind):
            yield kind, data[start:end].tobytes().decode("utf-8", "replace")


def value_of(data: np.ndarray, tree: Tree, node: int, attribute: int) -> str:
    """The value of a node's attribute with its character references decoded, or ""."""
    k = attribute_of(tree, node, attribute)
    if k < 0:
        return ""
    _, start, end = tree.attributes[k].item()
    return unescape(data[start:end].tobytes().decode("utf-8", "replace"))


def attribute_values(data: np.ndarray, tree: Tree, nodes: list[int]) -> Iterator[dict[int, str]]:
    """The attributes of each node by their numbers: what `value_of` gives, for many nodes."""
    begins, ends = (tree.nodes[name][nodes].tolist() for name in ("first_attribute", "end_attribute"))
    for begin, end in zip(begins, ends, strict=True):
        yield {
            name: unescape(data[start:stop].tobytes().decode("utf-8", "replace"))
            for name, start, stop in tree.attributes[begin:end].tolist()
        }


def parse_json(text: str) -> Any:
    """The first value in a text, or None."""
    text = _WRAPPING.sub("", text)
    for repair in (None, _CONTROL, _LATE_COMMA):
        if repair is not None:
            text = repair.sub(" " if repair is _CONTROL else "", text)
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            continue
    try:
        return _DECODER.raw_decode(text.lstrip())[0]
    except (ValueError, RecursionError):
        return None


def objects(value: Any, enters: Callable[[str], bool] = lambda key: True) -> Iterator[dict[str, Any]]:
    """All objects in a value in order, outer ones first. Keys that are not to be entered are skipped."""
    stack = [(value, 0)]
    while stack:
        item, depth = stack.pop()
        if depth > MAX_DEPTH:
            continue
        if isinstance(item, dict):
            yield item
            stack += [(inner, depth + 1) for key, inner in reversed(item.items()) if enters(key)]
        elif isinstance(item, list):
            stack += [(inner, depth + 1) for inner in reversed(item)]


def types_of(thing: dict[str, Any]) -> set[str]:
    """The types in lower case, without their vocabulary: "article" for "schema:Article", "https://schema.org/Article"."""
    kinds = thing.get("@type")
    return {
        re.split("[/:#]", kind.lower())[-1]
        for kind in (kinds if isinstance(kinds, list) else [kinds])
        if isinstance(kind, str)
    }


def ld_values(data: np.ndarray, tree: Tree) -> list[Any]:
    """The values of JSON-LD on a page, None for broken ones."""
    texts = [text for _, text in scripts(data, tree, _LD_TYPES.__contains__)]
    return [parse_json(unescape(text) if '"' not in text else text) for text in texts]


def ld_texts(values: list[Any]) -> list[str]:
    """The texts in JSON-LD: bodies of articles, else recipes, how-tos, questions and posts, else descriptions."""
    things = list(objects(values))
    described = (thing for thing in things if types_of(thing) & _DESCRIBED)
    return (
        distinct(_text(thing.get("articleBody")) for thing in things)
        or distinct(map(_lines, _outermost(values, _POSTS | _INSTRUCTIONS)))
        or distinct(_text(thing.get("description")) for thing in described)
    )


def meta_texts(data: np.ndarray, tree: Tree) -> list[str]:
    """The texts that microdata keeps out of sight, in the `content` of <meta itemprop=articleBody> and similar ones."""
    return distinct(
        plain_text(value_of(data, tree, node, attributes.CONTENT))
        for node in np.flatnonzero(tree.nodes["tag"] == _META).tolist()
        if value_of(data, tree, node, attributes.ITEMPROP).strip().lower() in _META_BODIES
    )


def _text(value: Any) -> str:
    return plain_lines(value if isinstance(value, list) else [value])


def _outermost(value: Any, kinds: set[str]) -> Iterator[dict[str, Any]]:
    """The things of these kinds that stand in no other of them, in order."""
    stack = [(value, 0)]
    while stack:
        item, depth = stack.pop()
        if isinstance(item, dict) and types_of(item) & kinds:
            yield item
        elif isinstance(item, (list, dict)) and depth < MAX_DEPTH:
            inner = item if isinstance(item, list) else item.values()
            stack += [(one, depth + 1) for one in reversed(inner)]


def _lines(post: dict[str, Any]) -> str:
    """A recipe, a how-to or a post, with the answers and posts in it."""
    lines: list[str] = []
    stack: list[tuple[Any, bool, int]] = [(post, False, 0)]  # value, whether it answers a question, depth
    while stack:
        item, is_answer, depth = stack.pop()
        if isinstance(item, str) and is_answer:
            lines.append(plain_text(item))
        elif isinstance(item, list) and depth < MAX_DEPTH:
            stack += [(inner, is_answer, depth + 1) for inner in reversed(item)]
        elif isinstance(item, dict) and depth < MAX_DEPTH:
            kinds = types_of(item)
            if kinds & _INSTRUCTIONS and (text := _instructions(item)):
                lines.append(text)
                continue
            if kinds & _POSTS or is_answer:
                title = _text(item.get("name")) if "question" in kinds else ""
                lines.append(_titled(title, _text(item.get("text"))))
            stack += [(inner, key in _ANSWERS, depth + 1) for key, inner in reversed(item.items())]
    return "\n".join(filter(None, lines))


def _instructions(thing: dict[str, Any]) -> str:
    """A recipe or a how-to: name, description, what it takes, steps; "" without the last two.

    A description of fewer words than a line of prose has says what the name says.
    """
    needed = [_text(thing.get(key)) for key in ("recipeIngredient", "ingredients")]
    needed += [name for key in ("supply", "tool") for name in _names(thing.get(key))]
    steps = [line for key in ("recipeInstructions", *_PARTS) for line in _steps(thing.get(key))]
    lines = [line for line in [*needed, *steps] if line]
    description = _text(thing.get("description"))
    if lines and num_words(description) >= MIN_LINE_WORDS:
        lines.insert(0, description)
    return "\n".join(dict.fromkeys(filter(None, [_text(thing.get("name")), *lines]))) if lines else ""


def _names(value: Any) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        yield _text(item.get("name") if isinstance(item, dict) else item)


def _steps(value: Any) -> Iterator[str]:
    """The lines of steps: texts, or lists, sections and steps of them."""
    stack = [(value, 0)]
    while stack:
        item, depth = stack.pop()
        if isinstance(item, str):
            yield plain_text(item)
        elif isinstance(item, list) and depth < MAX_DEPTH:
            stack += [(inner, depth + 1) for inner in reversed(item)]
        elif isinstance(item, dict) and depth < MAX_DEPTH:
            yield _titled(_text(item.get("name")), _text(item.get("text")) or _text(item.get("description")))
            stack += [(item.get(key), depth + 1) for key in reversed(_PARTS)]
            stack.append((item["item"] if isinstance(item.get("item"), dict) else None, depth + 1))


def _titled(title: str, text: str) -> str:
    """A text after its title, unless it begins with it."""
    return text if text.startswith(title.rstrip(".…")) else f"{title}\n{text}".strip()
