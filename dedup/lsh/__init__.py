"""MinHash: signatures, candidate pairs, verified edges, clusters."""
