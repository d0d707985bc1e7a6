"""What a model knows of a block and of its page."""
