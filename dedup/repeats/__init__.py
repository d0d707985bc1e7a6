"""Passages that occur more than once, found without a suffix array. `dedup.substring` and `dedup.paragraphs` use it.

windows.py   text ──▶ windows of words and their marks: the pieces of `substring`
engine.py    pieces of all units ──▶ for each repeated piece, the place of its twin
passages.py  repeated pieces ──▶ spans that are cut or masked, or documents that are removed
"""
