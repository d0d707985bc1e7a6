"""Title and date of a page by trafilatura's functions, about 12 ms a page, for the engines of others.

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
    """Title and date of a page. `max_date` is the day on which it was fetched; a later date is not the page's.

    With "" there is no date: htmldate would accept any day up to today, and a run would depend on its day.
    """
    from htmldate import find_date
    from trafilatura.metadata import examine_meta, extract_meta_json, extract_title
    from trafilatura.utils import load_html

    tree = load_html(html)
    if tree is None:
        return Metadata()
    document = examine_meta(tree)
    try:
        document = extract_meta_json(tree, document)
    except Exception:  # noqa: BLE001  as trafilatura does: JSON of pages breaks it in many ways
        pass
    title = " ".join((document.title or extract_title(tree) or "").split())[:MAX_TITLE_CHARS]
    date = None
    if max_date:
        date = find_date(tree, extensive_search=False, original_date=True, url=url or None, max_date=max_date)
    return Metadata(title or None, date)
