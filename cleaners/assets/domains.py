"""A large set of domains: reads millions of lines in a second, takes 8 bytes each, and makes no Python strings of them.

    list ──4 MiB──▶ kernel: a line, from its end ──▶ u64 ──▶ buckets by its upper bits, about 16 in each
    host "a.b.example" ──kernel, from its end──▶ u64 of "example", "b.example", "a.b.example" ──▶ in its bucket?

Hashes run from the end, so one pass over a host gives the hash of each domain above it. With 64 bits, one host in
10^12 is wrongly found in a set of 5 million.
"""

import re
from typing import BinaryIO
from urllib.parse import unquote

import numpy as np

from shards.compiled import kernel

_HOST = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?[/\\]{2}(?:[^/?#\\]*@)?(\[[^\]]*\]|[^/?#\\:]*)", re.IGNORECASE)
_PIECE = 4 << 20

# What a byte is to the kernel: part of a plain name, a line end, "#", a blank, or one that Python must read: "%",
# letters beyond ASCII, and control characters, which may end lines ("\r" does, except in "\r\n").
_PLAIN, _LINE_END, _COMMENT, _BLANK, _OTHER = range(5)
_KINDS = np.full(256, _PLAIN, np.uint8)
_KINDS[[*range(32), 37, *range(127, 256)]] = _OTHER
_KINDS[10], _KINDS[35], _KINDS[[9, 32]] = _LINE_END, _COMMENT, _BLANK

_SEED = np.uint64(0xCBF29CE484222325)  # FNV-1a, 64 bits
_PRIME = np.uint64(0x100000001B3)


class Domains:
    """The set of a list's entries, one a line as `wordlist.entries` reads them, in ASCII form."""

    def __init__(self, stream: BinaryIO) -> None:
        parts, rest = [np.zeros(0, np.uint64)], b""
        while piece := stream.read(_PIECE):
            whole, newline, last = (rest + piece).rpartition(b"\n")
            if newline:
                parts.append(_hashes(whole))
            rest = last
        parts.append(_hashes(rest))
        num_domains = sum(map(len, parts))
        self._bits = np.uint64(max(1, num_domains.bit_length() - 4))
        self._hashes, self._starts = _bucketed(np.concatenate(parts), self._bits)

    def cover(self, hosts: list[str]) -> np.ndarray:
        """bool[hosts]: whether the host is in the set or below a member of it."""
        encoded = [host.encode("utf-8", "surrogatepass") for host in hosts]
        ends = np.cumsum([0, *map(len, encoded)])
        return _cover(np.frombuffer(b"".join(encoded), np.uint8), ends, self._hashes, self._starts, self._bits)


def host_of(url: str) -> str:
    """The host in lower case and ASCII form, without user, port and final dot; "" where there is none."""
    match = _HOST.match(url)
    return ascii_host(match[1]) if match else ""


def ascii_host(host: str) -> str:
    """`host` in lower case and without its final dot; an international name in its ASCII form."""
    if "%" in host:
        host = unquote(host)
    host = host.strip().lower().rstrip(".")
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:  # a label too long, empty or of forbidden characters: no such host can be listed
            return host
    return host


def _hashes(lines: bytes) -> np.ndarray:
    out = np.empty(lines.count(b"\n") + 1, np.uint64)
    others = np.empty((len(out), 2), np.int64)
    number, num_others = _hash_lines(np.frombuffer(lines, np.uint8), _KINDS, out, others)
    hosts = (
        ascii_host(line.partition("#")[0])
        for begin, end in others[:num_others].tolist()
        for line in lines[begin:end].decode().splitlines()
    )
    slow = [_hash_name(np.frombuffer(h, np.uint8)) for host in hosts if (h := host.encode())]
    return np.concatenate([out[:number], np.array(slow, np.uint64)])


@kernel
def _hash_lines(text: np.ndarray, kinds: np.ndarray, out: np.ndarray, others: np.ndarray) -> tuple[int, int]:
    """Fill `out` with the hashes of plain lines, and `others` with (begin, end) of those that Python must read."""
    number = num_others = 0
    end = len(text)
    state = _SEED
    has_name = has_blank = is_other = ends_in_dot = False
    for i in range(len(text) - 1, -2, -1):
        kind = _LINE_END if i < 0 else kinds[text[i]]
        if i >= 0 and text[i] == 13 and i + 1 == end:
            kind = _BLANK
        if kind == _PLAIN:
            if has_blank and has_name:
                is_other = True
            if not has_name:
                ends_in_dot = text[i] == 46
            has_name, has_blank = True, False
            state = _step(state, text[i])
        elif kind == _LINE_END:
            if is_other or (has_name and ends_in_dot):
                others[num_others, 0], others[num_others, 1] = i + 1, end
                num_others += 1
            elif has_name:
                out[number] = _mixed(state)
                number += 1
            end = i
            state = _SEED
            has_name = has_blank = is_other = ends_in_dot = False
        elif kind == _COMMENT:  # what was read so far is the comment
            state = _SEED
            has_name = has_blank = ends_in_dot = False
        elif kind == _BLANK:
            has_blank = True
        else:
            is_other = True
    return number, num_others


@kernel(inline="always")
def _step(state: np.uint64, c: int) -> np.uint64:
    return (state ^ np.uint64(c | 32 if 65 <= c <= 90 else c)) * _PRIME


@kernel(inline="always")
def _mixed(state: np.uint64) -> np.uint64:
    """MurmurHash3's fmix64: with FNV alone the upper bits of short names are similar."""
    state = (state ^ (state >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    state = (state ^ (state >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return state ^ (state >> np.uint64(33))


@kernel
def _hash_name(name: np.ndarray) -> np.uint64:
    state = _SEED
    for i in range(len(name) - 1, -1, -1):
        state = _step(state, name[i])
    return _mixed(state)


@kernel
def _bucketed(hashes: np.ndarray, bits: np.uint64) -> tuple[np.ndarray, np.ndarray]:
    """(hashes by bucket, offset of each bucket), in half the time of a sort."""
    shift = np.uint64(64) - bits
    starts = np.zeros((1 << bits) + 1, np.int64)
    for value in hashes:
        starts[(value >> shift) + np.uint64(1)] += 1
    for bucket in range(1, len(starts)):
        starts[bucket] += starts[bucket - 1]
    free = starts[:-1].copy()
    out = np.empty_like(hashes)
    for value in hashes:
        out[free[value >> shift]] = value
        free[value >> shift] += 1
    return out, starts


@kernel
def _cover(text: np.ndarray, ends: np.ndarray, hashes: np.ndarray, starts: np.ndarray, bits: np.uint64) -> np.ndarray:
    covered = np.zeros(len(ends) - 1, np.bool_)
    for host in range(len(covered)):
        state = _SEED
        for i in range(ends[host + 1] - 1, ends[host] - 1, -1):
            if text[i] == 46 and _has(hashes, starts, bits, _mixed(state)):
                covered[host] = True
                break
            state = _step(state, text[i])
        if not covered[host] and ends[host + 1] > ends[host]:
            covered[host] = _has(hashes, starts, bits, _mixed(state))
    return covered


@kernel
def _has(hashes: np.ndarray, starts: np.ndarray, bits: np.uint64, wanted: np.uint64) -> bool:
    bucket = wanted >> (np.uint64(64) - bits)
    for i in range(starts[bucket], starts[bucket + np.uint64(1)]):  # noqa: SIM110  any() of a generator is not compiled
        if hashes[i] == wanted:
            return True
    return False
