"""Compiled loops over text that several rules share."""
