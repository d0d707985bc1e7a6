"""Thresholds, classifiers and extractors learned from texts that the user names."""
