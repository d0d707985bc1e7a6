"""Compiled loops over the text of a whole batch, which the kinds of `cleaners` share."""
