"""Crawl files (WARC, ARC and WET): from bytes on disk to rows with pages.

    file
     │  records   finds the format, the compression and the gzip members
     ▼
    inflated bytes
     │  framing   finds where a record ends and the next begins; reads its head, that of ARC by `arc`
     ▼
    Record: headers, content
     │  bodies    undoes the transfer and content encodings of the HTTP message
     │  warc      makes rows of documents and counts all other records
     ▼
    row: id, url, date, payload, …
     │  charset   decodes the payload, when the stages `language_guess` and `extract` need text
     ▼
    HTML as text

Bytes that are not a whole record become `Damage`, with offset and cause, and reading goes on after them.
"""
