"""Title, authors, date, site, address and language of a page.

    <meta>, JSON-LD ──declared──┐
    <title>, <h1>, bylines, ────┼──titles, bylines, dates, address, language──page──▶ PageMetadata
    dates, addresses            ┘

What a page declares for programs comes first, then what its elements are named, then the lines beside its heading.
Nothing is taken from other running text, whose dates and people may be those of other things.
"""
