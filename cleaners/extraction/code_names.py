"""What the names and the style of an element say of code: a listing, a line of one, line numbers, a prompt."""

import numpy as np

from cleaners.extraction.features.hashing import hash_of
from cleaners.extraction.html.tokenizer import is_space
from shards.compiled import kernel


def _tokens(names: str) -> np.ndarray:
    """Hashes of tokens as `hashing.path_tokens` gives them: digits are dropped, and what has parts is marked."""
    return np.array(
        [
            hash_of(name.lower()) ^ (0x9E3779B9 if "-" in name or "_" in name or name != name.lower() else 0)
            for name in names.split()
        ],
        np.uint32,
    )


# What the names of an element say of it. The style sheets of `LISTING` keep all white space; `SPACED` listings have
# no-break spaces for indents. `FRAGMENT` is a listing if its first element is a `LINE`, as Doxygen writes it.
# `INNER_NUMBERS` are names of line numbers within listings alone.
LISTING, SPACED, FRAGMENT, LINE, NUMBERS, INNER_NUMBERS, PROMPT = (1 << bit for bit in range(7))
_NAMES = {
    LISTING: (
        "blob-code blob-code-inner js-file-line react-file-line lines-code code-inner crayon-line cm-line line_content "
        "code-line CodeMirror-line ace_line"
    ),
    SPACED: "syntaxhighlighter dp-highlighter view-lines crayon-pre",
    FRAGMENT: "fragment",
    LINE: "line",
    NUMBERS: (
        "lineno linenos linenodiv linenumber linenumbers linenr gutter lnt lineNumber lineNumbers line-number "
        "line-numbers line_number line_numbers line-num line-nums lines-num blob-num ln-num hljs-ln-n hljs-ln-numbers "
        "code-line-number diff-line-num crayon-num crayon-nums source-line-no line-numbers-rows react-line-number"
    ),
    INNER_NUMBERS: "ln gl num nums line-no lineNo",
    PROMPT: "prompt",
}
_HASHES = np.concatenate([_tokens(names) for names in _NAMES.values()])
_MEANINGS = np.repeat(np.array([*_NAMES], np.int64), [len(names.split()) for names in _NAMES.values()])
_FILTER = np.zeros(4096, np.bool_)  # of hashes by their lowest bits: most tokens mean nothing
_FILTER[_HASHES & 4095] = True


@kernel(inline="always")
def meaning_of(page, i):
    """What the names of element `i` say, as bits."""
    meaning = 0
    for k in range(page.token_offsets[i], page.token_offsets[i + 1]):
        token = page.tokens[k]
        if _FILTER[token & np.uint32(4095)]:
            for known in range(len(_HASHES)):
                if _HASHES[known] == token:
                    meaning |= _MEANINGS[known]
    return meaning


@kernel
def finds(data, start, end, name, value):
    """Whether data[start:end] holds a name and right after it a value, blanks and capitals aside."""
    matched, length = 0, len(name) + len(value)
    for k in range(start, end):
        c = data[k]
        if is_space(c):
            continue
        c |= 32 * (65 <= c <= 90)
        if c == (name[matched] if matched < len(name) else value[matched - len(name)]):
            matched += 1
            if matched == length:
                return True
        else:
            matched = int(c == name[0])
    return False
