"""Strings of words in the shards of a run or of a training: how often, where, and what follows them."""
