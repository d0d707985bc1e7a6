"""Features: numbers that describe a block, the page around it and its neighbours to the two forests.

tree ──blocks──▶ blocks ──measures──▶ measures of their text ──┐
  └───hashing──▶ tokens of class, id, role ──linear──▶ scores ─┴─block_features──▶ input of the first forest
                                                                                            │ p
                 input of the second forest: the same, and the features of `context` ◀──────┘

page               a page as these modules read it: tree, blocks, measures, tokens
columns            names, meanings and columns of the features of `block_features`
page_features      the columns about the whole page
template_counts    the columns about repetition on the page
context            the features made from p, and their names
"""
