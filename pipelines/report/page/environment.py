"""The Jinja environment of every page: strict, escaping, with the same filters and one style sheet."""

import re

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from pipelines.numbers import compact, counted, duration, number, percent, share, size
from pipelines.report.page.svg import bar
from pipelines.report.samples import visible

_NO_BREAK_SPACE = "\u00a0"


def page_environment(package: str = "pipelines.report.page") -> Environment:
    """An environment for the templates of `package`, which may include those of this one."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, "."), PackageLoader("pipelines.report.page", ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "breakable": breakable,
        "compact": compact,
        "count": counted,
        "duration": duration,
        "number": number,
        "percent": unbroken_percent,
        "size": size,
        "visible": visible,
    }
    environment.globals |= {"bar": bar, "share": share}
    return environment


def breakable(name: str) -> Markup:
    """A name that may be broken after a dot or an underscore."""
    return Markup(re.sub(r"([._])(?=\w)", r"\1<wbr>", str(escape(name))))


def unbroken_percent(part: float | None, digits: int = 1) -> str:
    """A percentage that no line break parts from its sign."""
    return percent(part, digits).replace(" ", _NO_BREAK_SPACE)
