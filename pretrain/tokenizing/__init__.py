"""From text shards to token shards: the tokenizer, its training, and what goes along with the tokens."""
