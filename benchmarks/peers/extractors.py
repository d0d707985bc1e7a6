"""Extraction engines of others over pages: JSON lines in, JSON lines out.

    extractors.py ENGINE < pages > texts     pages of url, html, language; texts of text, seconds of CPU time
    extractors.py ENGINE --version           the version that is installed

It imports nothing of Gristmill, so that it runs in the peers' environment. Readers' comments are left out where an
engine has the choice. Engines that give HTML are written as text by resiliparse, which breaks lines at blocks.
An engine that fails on a page has found nothing there: `error` says why.
"""

import argparse
import importlib.metadata
import json
import logging
import sys
import time
from collections.abc import Callable

Engine = Callable[[str, str, str], str]  # HTML, URL and language to text

PACKAGES = {
    "trafilatura": "trafilatura",
    "resiliparse": "resiliparse",
    "readability-lxml": "readability-lxml",
    "magic-html": "magic-html",
    "jusText": "jusText",
}
# The stop words of jusText by ISO 639-1. Without any it goes by lengths and links, as its authors advise.
_STOP_WORDS = {
    "ar": "Arabic",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fa": "Persian",
    "fr": "French",
    "id": "Indonesian",
    "is": "Icelandic",
    "it": "Italian",
    "ko": "Korean",
    "nl": "Dutch",
    "no": "Norwegian_Bokmal",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "sv": "Swedish",
    "sw": "Swahili",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "vi": "Vietnamese",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=PACKAGES)
    parser.add_argument("--version", action="store_true")
    options = parser.parse_args()
    if options.version:
        print(importlib.metadata.version(PACKAGES[options.engine]))
        return
    logging.disable(logging.CRITICAL)  # engines log what they discard
    engine = engine_of(options.engine)
    for line in sys.stdin:
        page = json.loads(line)
        found = {}
        began = time.process_time()
        try:
            found["text"] = engine(page["html"], page["url"], page["language"])
        except Exception as error:  # noqa: BLE001  one of any kind is a page without text
            found |= {"text": "", "error": f"{type(error).__name__}: {error}"[:200]}
        found["seconds"] = time.process_time() - began
        print(json.dumps(found), flush=True)


def engine_of(name: str) -> Engine:
    makers: dict[str, Callable[[], Engine]] = {
        "trafilatura": _trafilatura,
        "resiliparse": _resiliparse,
        "readability-lxml": _readability,
        "magic-html": _magic_html,
        "jusText": _justext,
    }
    return makers[name]()


def _trafilatura() -> Engine:
    from trafilatura import extract

    return lambda html, url, _: extract(html, url=url, include_comments=False, include_tables=True) or ""


def _resiliparse() -> Engine:
    from resiliparse.extract.html2text import extract_plain_text

    return lambda html, *_: extract_plain_text(html, main_content=True, alt_texts=False, comments=False)


def _readability() -> Engine:
    from readability import Document

    # Without html_partial it loses the text of some pages: .875 of F1 for .890.
    return lambda html, url, _: _plain(Document(html, url=url).summary(html_partial=True))


def _magic_html() -> Engine:
    from magic_html import GeneralExtractor

    engine = GeneralExtractor()  # it can be told that a page is a forum, which a crawler does not know
    return lambda html, url, _: _plain(engine.extract(html, base_url=url)["html"])


def _justext() -> Engine:
    import justext

    def engine(html: str, _: str, language: str) -> str:
        if name := _STOP_WORDS.get(language):
            paragraphs = justext.justext(html, justext.get_stoplist(name))
        else:
            paragraphs = justext.justext(html, frozenset(), stopwords_low=0, stopwords_high=0)
        return "\n".join(paragraph.text for paragraph in paragraphs if not paragraph.is_boilerplate)

    return engine


def _plain(html: str) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return str(extract_plain_text(html, alt_texts=False)) if html else ""


if __name__ == "__main__":
    main()
