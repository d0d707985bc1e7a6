"""White space of a page between two text nodes, and the markup around it: blank text nodes are not in the tree."""

from cleaners.extraction.html.tokenizer import LESS, SLASH, attribute, declaration, is_letter, is_space, name_end
from shards.compiled import kernel


@kernel
def after_markup(data, i):
    """The position after the tag or declaration that begins with the "<" at `i`."""
    n = len(data)
    if i + 2 >= n:
        return n
    name = i + 1 + (data[i + 1] == SLASH)
    if not is_letter(data[name]):
        return declaration(data, i, False)[3]
    i = name_end(data, name)
    name_start = 0
    while name_start >= 0:
        name_start, _, _, _, i = attribute(data, i)
    return min(i + 1, n)


@kernel
def write_blanks(data, start, end, out, at):
    """Write the white space between two positions, without markup and other text, to out[at:]; return the new `at`."""
    while start < end:
        if data[start] == LESS:
            start = after_markup(data, start)
            continue
        if is_space(data[start]):
            out[at] = data[start]
            at += 1
        start += 1
    return at
