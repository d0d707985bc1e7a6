"""The elements that the parser knows by name, and a bit mask of the HTML standard's rules for each.

Sections are those of https://html.spec.whatwg.org, the living standard.
"""

import numpy as np

from cleaners.extraction.html.names import table_of

# Kinds of nodes share their numbers with elements. VERBATIM text holds no character references.
TEXT, VERBATIM, UNKNOWN = range(3)

NAMES = (
    "a abbr acronym address annotation annotation-xml applet area article aside audio b base basefont bdi bdo bgsound "
    "big blockquote body br button canvas caption center cite code col colgroup data datalist dd del desc details dfn "
    "dialog dir div dl dt em embed fieldset figcaption figure font footer foreignobject form frame frameset h1 h2 h3 "
    "h4 h5 h6 head header hgroup hr html i iframe image img input ins kbd keygen label legend li link listing main map "
    "mark marquee math menu meta meter mi mn mo ms mtext nav nobr noembed noframes noscript object ol optgroup option "
    "output p param picture plaintext pre progress q rb rp rt rtc ruby s samp script search section select slot small "
    "source span strike strong style sub summary sup svg table tbody td template textarea tfoot th thead time title tr "
    "track tt u ul var video wbr xmp"
).split()
TAGS = {name: number for number, name in enumerate(NAMES, UNKNOWN + 1)}
TAG_TABLE = table_of(NAMES, UNKNOWN + 1)
NUM_TAGS = UNKNOWN + 1 + len(NAMES)
assert NUM_TAGS <= 256

A, BODY, BR, BUTTON, FORM, FRAMESET, HEAD, HTML, HR = map(
    TAGS.__getitem__, "a body br button form frameset head html hr".split()
)
IMAGE, IMG, INPUT, LI, OL, UL, OPTGROUP, OPTION, P = map(
    TAGS.__getitem__, "image img input li ol ul optgroup option p".split()
)
PLAINTEXT, SCRIPT, SVG, MATH, TABLE, TR, TEMPLATE, NOSCRIPT = map(
    TAGS.__getitem__, "plaintext script svg math table tr template noscript".split()
)
ANNOTATION, SUP, SUB, PRE, CODE, TD, TH = map(TAGS.__getitem__, "annotation sup sub pre code td th".split())
DD, DT, ADDRESS, DIV, TITLE, SELECT, RB, RP, RT, RTC = map(
    TAGS.__getitem__, "dd dt address div title select rb rp rt rtc".split()
)

_TABLE_PARTS = "caption col colgroup tbody tfoot thead tr td th"
_HEADINGS = "h1 h2 h3 h4 h5 h6"
_FORMATTING = "a b big code em font i nobr s small strike strong tt u"
# Start tags that close an open paragraph, and end tags that close all down to their element (13.2.6.4.7).
_CONTAINERS = (
    "address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer header hgroup "
    "listing main menu nav ol pre search section summary ul"
)
_SCOPES = "applet caption html table td th marquee object template mi mo mn ms mtext annotation-xml desc title"
_BREAKOUT = (  # start tags that end foreign content (13.2.6.5)
    "b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta "
    "nobr ol p pre ruby s small span strong strike sub sup table tt u ul var"
)

_RULES = {
    # No content, no end tag (13.1.2).
    "VOID": "area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr",
    # Content is text up to the end tag (13.2.6.2); in RCDATA character references are decoded.
    "RAW": "script style textarea title xmp iframe noembed noframes",
    "RCDATA": "textarea title",
    "SPECIAL": (  # 13.2.4.2
        f"{_CONTAINERS} {_TABLE_PARTS} {_HEADINGS} applet area base basefont bgsound body br button dd dt embed form "
        "frame frameset head hr html iframe img input keygen li link marquee meta noembed noframes noscript object p "
        "param plaintext script select source style table template textarea title track wbr xmp mi mo mn ms mtext "
        "annotation-xml foreignobject desc"
    ),
    "FORMATTING": _FORMATTING,
    "CLOSES_P": f"{_CONTAINERS} {_HEADINGS} form p li dd dt plaintext table hr xmp",
    # The standard closes `noscript` only when nothing else is open in it, and `template` whatever is open in it.
    "CLOSED_IN_SCOPE": f"{_CONTAINERS} {_HEADINGS} applet button dd dt li marquee noscript object",
    "SCOPE": f"{_SCOPES} foreignobject",
    "IMPLIED_END": "dd dt li optgroup option p rb rp rt rtc",  # 13.2.6.3
    # Formatting that is open before them is open after them, whatever they hold (13.2.4.3).
    "MARKER": "applet object marquee template td th caption",
    "HEADING": _HEADINGS,
    "HEAD_CONTENT": "base basefont bgsound link meta title noscript noframes style script template",
    # Lines of text end at them: browsers do not display them inline (15.3), or set them apart from their line.
    "BLOCK": (
        f"{_CONTAINERS} {_TABLE_PARTS} {_HEADINGS} audio body button canvas dd dt form frame frameset head hr html "
        "iframe legend li marquee noembed noframes noscript object optgroup option p plaintext select table template "
        "textarea title video xmp"
    ),
    "PREFORMATTED_TAG": "pre listing plaintext textarea xmp",
    # The HTML parser drops a line end that follows their start tag.
    "EATS_NEWLINE": "pre listing textarea",
    "INTEGRATION": "foreignobject desc title mi mo mn ms mtext annotation-xml",  # HTML again within SVG or MathML
    "BREAKOUT": _BREAKOUT,
    # Text that is data or never shown, the readings of ruby, and second versions of formulas.
    "NOT_SHOWN": "script style noframes noembed iframe head title desc datalist rp rt rtc annotation annotation-xml",
}
_CLOSED = {*f"{_RULES['CLOSED_IN_SCOPE']} {_RULES['INTEGRATION']} {_TABLE_PARTS} p select table template".split()}
_RULES |= {
    # Start tags that may close others than an open paragraph and an open link.
    "MAKES_WAY": f"{_HEADINGS} {_TABLE_PARTS} li dd dt table option optgroup button input rb rp rt rtc",
    # End tags that close the innermost open element if it is theirs.
    "ENDS_INNERMOST": " ".join(name for name in NAMES if name in _CLOSED or name not in _RULES["SPECIAL"].split()),
}
RULES = np.zeros(NUM_TAGS, np.uint32)
for _bit, _names in enumerate(_RULES.values()):
    RULES[[TAGS[name] for name in _names.split()]] |= np.uint32(1 << _bit)


def _rule(name: str) -> int:
    return 1 << list(_RULES).index(name)


VOID, RAW, RCDATA, SPECIAL, FORMATTING = map(_rule, "VOID RAW RCDATA SPECIAL FORMATTING".split())
CLOSES_P, CLOSED_IN_SCOPE, SCOPE, MARKER = map(_rule, "CLOSES_P CLOSED_IN_SCOPE SCOPE MARKER".split())
HEADING, HEAD_CONTENT, BLOCK, PREFORMATTED_TAG = map(_rule, "HEADING HEAD_CONTENT BLOCK PREFORMATTED_TAG".split())
EATS_NEWLINE, INTEGRATION, BREAKOUT, NOT_SHOWN = map(_rule, "EATS_NEWLINE INTEGRATION BREAKOUT NOT_SHOWN".split())
IMPLIED_END, MAKES_WAY, ENDS_INNERMOST = map(_rule, "IMPLIED_END MAKES_WAY ENDS_INNERMOST".split())

# Levels of a table's parts: a new part closes the open parts of its own level and deeper ones (13.2.6.4.9 to .15).
TABLE_LEVEL = np.zeros(NUM_TAGS, np.int8)
for _level, _names in enumerate(("caption colgroup tbody tfoot thead", "tr", "td th"), 1):
    TABLE_LEVEL[[TAGS[name] for name in _names.split()]] = _level
