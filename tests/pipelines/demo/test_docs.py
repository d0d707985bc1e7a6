"""Pages of a manual from the documentation on this machine."""

from collections import Counter

from pipelines.demo.docs import blocks_of, language_pages, library_pages


def test_no_chapter_of_the_manual_stands_in_another() -> None:
    paragraphs = Counter(
        block.text
        for page in language_pages()
        for block in page.blocks
        if block.kind == "paragraph" and len(block.text) > 400
    )
    assert len(paragraphs) > 50
    assert paragraphs.most_common(1)[0][1] == 1


def test_a_library_that_is_not_installed_has_no_pages() -> None:
    assert list(library_pages("no_such_library_is_installed")) == []


def test_blocks_tell_prose_from_code_and_definitions() -> None:
    text = """
Title
=====

Some prose with :class:`~a.B` and ``code``.

Parameters
----------
x : int
    How many.

>>> f(1)
2
"""
    assert [(block.kind, block.text) for block in blocks_of(text)] == [
        ("heading", "Title"),
        ("paragraph", "Some prose with a.B and code."),
        ("heading", "Parameters"),
        ("term", "x : int"),
        ("definition", "How many."),
        ("code", ">>> f(1)\n2"),
    ]
