"""Pages that were written for this project, beside the Markdown that they should give."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.structure.pages import LabelledPage

_FOLDER = Path(__file__).parent


def own_pages() -> Iterator[LabelledPage]:
    """The pages, in the order of their names."""
    for page in sorted(_FOLDER.glob("*.html")):
        yield LabelledPage(page.name, "own", "tuned", page.read_bytes(), "main", page.with_suffix(".md").read_text())
