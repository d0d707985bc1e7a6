"""The extractor: the main text of web pages from their bytes, compiled with Numba.

    bytes ──html──▶ tree ──features──▶ rows of blocks ──forest──▶ p ──choice, comments──▶ chosen blocks ──▶ text
                      │                                                    by plain_text, or by markdown ┘
                      └──json_ld, page_state──▶ text in scripts, for pages without text;  metadata──▶ title, date

    engine       all of the picture for a batch of pages: what other packages call
    model        the file that holds the linear models and the two forests; the shipped one is in models/
    structure    the layout of blocks in lists and tables, for plain_text and markdown
    html/        the parser: tokenizer, tree, text of nodes
    features/    blocks, and the features of each; those of the second forest are made from p of the first
    training/    labelled pages ──▶ model file; scores of engines

`training` imports the modules of this folder, these import `features`, and `features` imports `html`, never the other
way round. docs/extraction.md gives the reason for each step.
"""
