"""A large set of domains: reads millions of lines in a second, takes 8 bytes each, and makes no Python strings of them.

`cleaners.assets.domain_lines` defines the lines. Those of a host alone, or after the 0.0.0.0 or 127.0.0.1 of a hosts
file, are read by a kernel, and the others by Python. Entries with a path are kept as strings.

    list ──4 MiB──▶ kernel: a line, from its end ──▶ u64 ──▶ buckets by its upper bits, about 16 in each
    host "a.b.example" ──kernel, from its end──▶ u64 of "example", "b.example", "a.b.example" ──▶ in its bucket?

Hashes run from the end, so one pass over a host gives the hash of each domain above it. With 64 bits, one host in
10^12 is wrongly found in a set of 5 million.
"""

from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from cleaners.assets.domain_lines import entries_of_line, path_of
from shards.compiled import kernel

_PIECE = 4 << 20

# What a byte is to the kernel: part of a plain name, a line end, "#", a blank, or one that Python must read, as control
# characters, which may end lines ("\r" does, except in "\r\n").
_PLAIN, _LINE_END, _COMMENT, _BLANK, _OTHER = range(5)
_KINDS = np.full(256, _OTHER, np.uint8)
_KINDS[[*b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"]] = _PLAIN
_KINDS[10], _KINDS[35], _KINDS[[9, 32]] = _LINE_END, _COMMENT, _BLANK

_SEED = np.uint64(0xCBF29CE484222325)  # FNV-1a, 64 bits
_PRIME = np.uint64(0x100000001B3)


@dataclass
class Lines:
    """What Python has read of a list."""

    paths: dict[str, list[str]] = field(default_factory=dict)  # by host
    num_odd: int = 0  # lines that name no host
    first_odd: tuple[int, str] | None = None  # number from 1 and line


class Domains:
    """The set of a list's hosts, and the paths of some hosts."""

    def __init__(self, stream: BinaryIO) -> None:
        self.lines = Lines()
        parts, rest, number = [np.zeros(0, np.uint64)], b"", 1
        while piece := stream.read(_PIECE):
            whole, newline, last = (rest + piece).rpartition(b"\n")
            if newline:
                parts.append(_hashes(whole, self.lines, number))
                number += whole.count(b"\n") + 1
            rest = last
        parts.append(_hashes(rest, self.lines, number))
        self.num_hosts = sum(map(len, parts))
        self._bits = np.uint64(max(1, self.num_hosts.bit_length() - 4))
        self._hashes, self._starts = _bucketed(np.concatenate(parts), self._bits)

    def cover_urls(self, urls: list[str], hosts: list[str]) -> np.ndarray:
        """bool[urls]: whether the URL's host is covered, or its path is one that the list names, or below it."""
        covered = self.cover(hosts)
        if self.lines.paths:
            covered |= [self._names_path(url, host) for url, host in zip(urls, hosts, strict=True)]
        return covered

    def _names_path(self, url: str, host: str) -> bool:
        while host:
            if host in self.lines.paths:
                path = path_of(url)
                return any(_is_below(path, other) for other in self.lines.paths[host])
            host = host.partition(".")[2]
        return False

    def cover(self, hosts: list[str]) -> np.ndarray:
        """bool[hosts]: whether the host is in the set or below a member of it."""
        encoded = [host.encode("utf-8", "surrogatepass") for host in hosts]
        ends = np.cumsum([0, *map(len, encoded)])
        return _cover(np.frombuffer(b"".join(encoded), np.uint8), ends, self._hashes, self._starts, self._bits)


def _is_below(path: str, other: str) -> bool:
    rest = path[len(other) :]
    return path.startswith(other) and (other.endswith("/") or not rest or rest[0] in "/?#")


def _hashes(text: bytes, lines: Lines, first_number: int) -> np.ndarray:
    """The hashes of the hosts in `text`, whose first line has that number; the rest goes into `lines`."""
    out = np.empty(text.count(b"\n") + 1, np.uint64)
    others = np.empty((len(out), 2), np.int64)
    number, num_others = _hash_lines(np.frombuffer(text, np.uint8), _KINDS, out, others)
    hosts = []
    for begin, end in others[:num_others][::-1].tolist():
        for line in text[begin:end].decode().splitlines():
            entries = entries_of_line(line)
            if entries is None:
                lines.num_odd += 1
                lines.first_odd = lines.first_odd or (first_number + text.count(b"\n", 0, begin), line.strip())
            for host, path in entries or ():
                if path:
                    lines.paths.setdefault(host, []).append(path)
                else:
                    hosts.append(host)
    slow = [_hash_name(np.frombuffer(host.encode(), np.uint8)) for host in hosts]
    return np.concatenate([out[:number], np.array(slow, np.uint64)])


@kernel
def _hash_lines(text: np.ndarray, kinds: np.ndarray, out: np.ndarray, others: np.ndarray) -> tuple[int, int]:
    """Fill `out` with the hashes of plain lines, and `others` with (begin, end) of those that Python must read.

    Both are from the last line to the first.
    """
    number = num_others = 0
    end = len(text)
    state = _SEED
    has_name = has_blank = has_more = is_other = ends_in_dot = after_sink = False
    first = np.uint8(0)  # character of the name
    for i in range(len(text) - 1, -2, -1):
        kind = _LINE_END if i < 0 else kinds[text[i]]
        if i >= 0 and text[i] == 13 and i + 1 == end:
            kind = _BLANK
        if kind == _PLAIN and not after_sink:
            if has_blank and has_name:
                after_sink = not has_more and _is_sink(text, i, kinds)
                has_more = not after_sink
                continue
            if not has_name:
                ends_in_dot = text[i] == 46
            has_name, has_blank, first = True, False, text[i]
            state = _step(state, text[i])
        elif kind == _LINE_END:
            if is_other or has_more or (has_name and (ends_in_dot or first == 45 or first == 46)):
                others[num_others, 0], others[num_others, 1] = i + 1, end
                num_others += 1
            elif has_name:
                out[number] = _mixed(state)
                number += 1
            end = i
            state = _SEED
            has_name = has_blank = has_more = is_other = ends_in_dot = after_sink = False
        elif kind == _COMMENT:  # what was read so far is the comment, or an Adblock rule that hides elements
            state = _SEED
            has_name = has_blank = has_more = ends_in_dot = after_sink = False
            is_other = is_other or (i > 0 and kinds[text[i - 1]] != _BLANK and kinds[text[i - 1]] != _LINE_END)
        elif kind == _BLANK:
            has_blank = True
        elif kind == _OTHER:
            is_other = True
    return number, num_others


@kernel(inline="always")
def _is_sink(text: np.ndarray, last: int, kinds: np.ndarray) -> bool:
    """Whether the line up to `last` is 0.0.0.0 or 127.0.0.1, to which a hosts file sends what it blocks."""
    begin = last
    while begin > 0 and kinds[text[begin - 1]] == _PLAIN:
        begin -= 1
    before = begin - 1
    while before >= 0 and kinds[text[before]] == _BLANK:
        before -= 1
    if before >= 0 and kinds[text[before]] != _LINE_END:
        return False
    sink = b"127.0.0.1" if last - begin == 8 else b"0.0.0.0"
    same = last - begin == len(sink) - 1
    for k in range(last - begin + 1):
        same = same and text[begin + k] == sink[k]
    return same


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
