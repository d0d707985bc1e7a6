"""MinHash with locality-sensitive hashing: near-duplicates by verified Jaccard similarity. `dedup.minhash` runs it.

shingles.py      text ──▶ set of hashed word n-grams
signatures.py    set ──▶ signature ──▶ band keys          shape.py: bands × rows and their S-curve
signing.py       unit ──▶ files of band keys and sets
edges.py         band keys ──▶ buckets ──▶ verified edges, task by task
bucket_pairs.py  members of a bucket ──▶ pairs of similar documents
edge_runs.py     edges on disk, in keep order, read in parts
leaders.py       edges ──▶ removed documents with their representative, no chains
components.py    edges ──▶ the same by connected components, as the papers do
removals.py      removed documents ──▶ verdicts and copies
"""
