"""The top-level domains of the internet, from the Public Suffix List that the package `tld` carries."""

import hashlib
from functools import cache
from importlib import resources


@cache
def top_level_domains() -> frozenset[str]:
    """In lower case; an international one in Unicode."""
    text = resources.files("tld").joinpath("res/effective_tld_names_public_only.dat.txt").read_text(encoding="utf-8")
    lines = (line.strip() for line in text.splitlines())
    return frozenset(line.rpartition(".")[2].lower() for line in lines if line and not line.startswith("//"))


def is_top_level_domain(label: str) -> bool:
    """Whether `label`, in Unicode or as xn--…, is one, in any case."""
    label = label.lower()
    if label.startswith("xn--"):
        try:
            label = label.encode().decode("idna")
        except UnicodeError:
            return False
    return label in top_level_domains()


@cache
def top_level_domains_sha256() -> str:
    return hashlib.sha256("\n".join(sorted(top_level_domains())).encode()).hexdigest()
