"""Local kinds: each looks at one row at a time, takes a batch, and returns the same rows with new columns.

Each module here is one kind of stage, named after it, with its config; `thresholds` is what rule stages share. A kind
that compares documents with others is in `dedup`. The rooms:

    crawl       WARC, ARC and WET files: records, HTTP bodies, charsets
    extraction  our own extractor of the main text, and its training
    engines     extractors by one interface, and the child process that runs those of others
    kernels     compiled loops over text that several kinds share
    datatrove   the formulas and words of `compat = "datatrove"`
    assets      word lists, domain lists and models as files
"""
