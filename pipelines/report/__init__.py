"""The report of a run: aggregates, then JSON and a page."""
