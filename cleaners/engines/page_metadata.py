"""Title and date of a page, by the functions that trafilatura takes them with; about 12 ms a page with any engine.

Title: Open Graph and other <meta>, JSON-LD, then <title> and headings. Date: htmldate on <meta>, JSON-LD, <time> and
the URL, not on the running text, which names dates of other things. This module runs in the extraction child.
"""

from dataclasses import dataclass

MAX_TITLE_CHARS = 1_000


@dataclass(frozen=True)
class Metadata:
    title: str | None = None
    date: str | None = None  # YYYY-MM-DD


def page_metadata(html: str, url: str, max_date: str) -> Metadata:
    """`max_date` is the day the page was fetched: a later one is no date of it. With "" none is looked for, since
    htmldate would take today for the last day, and a run would depend on when it is made."""
    from htmldate import find_date
    from trafilatura.metadata import examine_meta, extract_meta_json, extract_title
    from trafilatura.utils import load_html

    tree = load_html(html)
    if tree is None:
        return Metadata()
    found = examine_meta(tree)
    try:
        found = extract_meta_json(tree, found)
    except Exception:  # noqa: BLE001  as trafilatura does: JSON of pages breaks it in many ways
        pass
    title = " ".join((found.title or extract_title(tree) or "").split())[:MAX_TITLE_CHARS]
    date = None
    if max_date:
        date = find_date(tree, extensive_search=False, original_date=True, url=url or None, max_date=max_date)
    return Metadata(title or None, date)
