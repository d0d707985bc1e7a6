"""Thresholds, classifiers and extractors learned from given texts."""
