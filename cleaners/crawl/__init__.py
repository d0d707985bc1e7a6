"""Crawl files: WARC and ARC records, HTTP bodies, charsets."""
