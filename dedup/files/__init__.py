"""Files that global stages write and map: documents of units, sorted runs, buckets, verdicts."""
