"""Token shards in the formats of other training tools."""
