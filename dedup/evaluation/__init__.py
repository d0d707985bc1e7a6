"""Evaluation sets, and their n-grams."""
