"""Stages that compare documents with others.

Nearly all are global: they compare all units of a run, exchange files and never a process's memory, and end in verdicts
(`shards.exchange`). `decontaminate` is local: it compares each batch with evaluation sets. One kind is one file:

    exact, url_dedup, same_record       equal keys (`equal_keys`)
    minhash                             near-duplicates (`lsh/`)
    ngram_overlap                       documents whose n-grams occur in earlier ones
    substring, paragraphs               passages that occur more than once (`repeats/`)
    top_share                           the best documents by a metric
    decontaminate                       n-grams of evaluation sets (`evaluation/`)

MinHash, the longest of them, goes through these files:

    text ─lsh/shingles▶ shingle sets ─lsh/signatures▶ band keys     lsh/signing writes both for each unit
         ─buckets▶ documents with equal band keys                   lsh/edges, one task for some bands
         ─lsh/bucket_pairs▶ verified edges ─lsh/edge_runs▶ files
         ─lsh/leaders or lsh/components▶ removed documents, each with its representative
         ─lsh/removals▶ verdicts

Kinds import rooms (`lsh`, `repeats`, `evaluation`), and rooms import what all share but not each other: `documents`
(address, id, keep order, files of units), `keep` (policies), `word_hashes`, `buckets`, `column_runs` (files that are
written by row and read by column), `verdicts`. `index` holds documents of earlier runs.
"""
