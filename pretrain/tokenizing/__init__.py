"""Tokenizers, and text shards as token shards."""
