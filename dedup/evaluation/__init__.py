"""Evaluation sets and the index of their n-grams, which `dedup.decontaminate` looks for in documents.

sets.py        files of an evaluation set ──▶ its items and their passages
eval_index.py  passages ──▶ table of n-grams; text ──▶ hits
"""
