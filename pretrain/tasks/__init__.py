"""Tasks: questions with known answers, scored by the probabilities that a model gives them."""
