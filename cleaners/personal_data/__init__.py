"""Patterns of personal data, and what looks like them and is none.

region.py        a region of a text in narrow letters, with what stands around it
emails.py        e-mail addresses, also international ones
ip_addresses.py  public IP addresses, not versions and section numbers
numbers.py       phone and identity numbers by country

`cleaners.kernels.pii_candidates` finds the regions, `cleaners.pii` is the stage.
"""
