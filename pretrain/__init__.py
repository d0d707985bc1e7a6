"""Training: tokenizer, mixture, packing, model and loop. Reads shards and nothing else of ours."""
