"""HTML as arrays: tokenizer, tree, text."""
