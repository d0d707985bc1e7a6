"""The parser: the bytes of a page to a tree of flat arrays, and the text of its nodes.

bytes ──tokenizer──▶ positions of tags ──nesting──▶ open elements ──tree──▶ nodes, attributes ──text──▶ UTF-8
           └ search: finds a byte                                                                └ entities

tree          the parser itself; `nodes` defines the arrays
tags          the elements that are known, by number, and the standard's rules for each
attributes    the attributes that are kept, by number
names         names of both as two 64-bit words, and tables to look them up
"""
