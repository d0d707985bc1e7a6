"""Main content of web pages, from the bytes of the page, in Numba.

    bytes of a page (UTF-8) ──tree.parse──▶ Tree, a structure of arrays ──text.write_text──▶ text
                                 │
                tokenizer, tags, attributes, entities

Everything here is compiled and may be called from compiled code: whole batches of pages are walked without one Python
object for each node. `tree` states what the arrays hold.
"""
