"""Groups of duplicates: a document, and all whose chain of twins ends there.

    near       a ─▶ b    c ─▶ b          b passed `near` and stood for a and c
    url_dedup            b ─▶ d          then it left for d: all four are d's group, of size 4

    ledger ──once──▶ members by (twin, reason) ──once more──▶ what became of the twins ──▶ sizes, largest, samples

Memory is 60 bytes a twin, none for documents without copies. A twin is known by 64 bits of its id, which is a hash: a
billion twins have one false meeting in 40 runs, and all it does is to add two groups up.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dedup.documents import format_ids, parse_ids
from shards.schema import COPIES
from shards.sink import open_arrow, read_batches

SIZES = (1, 2, 3, 4, 10, 100, 1000)  # the least of each class; the last has no end
KEPT, ABSENT = "kept", "not in this run"  # fates of a twin besides drop reasons; absent: in an index of other runs
MEMBERS_SHOWN = 5
# Their twins are no copies: one record given twice, and documents of which little was left.
_NO_GROUPS = ("dedup.same_record", "dedup.substring", "dedup.paragraphs")

_MEMBERS = np.dtype([("id", "<u8", 2), ("reason", "<i8"), ("documents", "<i8"), ("chars", "<i8")])
_PENDING = 1 << 18  # rows that are gathered before they are added up


def reasons_of_groups(reasons: Sequence[str]) -> tuple[str, ...]:
    """Those of global stages that remove a document as a copy of its twin, in their order."""
    return tuple(dict.fromkeys(r for r in reasons if r.startswith("dedup.") and r not in _NO_GROUPS))


@dataclass(frozen=True)
class Group:
    """A document that stands for others."""

    id: str
    fate: str
    documents: int  # with itself, if it is of this run
    size: int  # with itself
    chars: int
    copies: int | None  # as its own row says


@dataclass
class Member:
    id: str
    url: str
    similarity: float | None
    reason: str


@dataclass
class Shown:
    """A group with what a person wants to see of it."""

    group: Group
    url: str = ""
    key: str = ""  # of the unit that holds it; "" where it is not of this run
    source: str = ""
    members: list[Member] = field(default_factory=list)  # those of the smallest ids: a random choice, always the same


class Groups:
    """Give `add` every batch of the ledger, then call `close` once; the rest is questions."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        self._members, self._pending = np.zeros(0, _MEMBERS), list[np.ndarray]()
        self._num_pending = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """A batch with `drop_reasons`, `twin` and `text_chars`."""
        reason = first_reasons(batch["drop_reasons"], self.reasons)
        rows = np.flatnonzero((reason >= 0) & batch["twin"].is_valid().to_numpy(zero_copy_only=False))
        if not len(rows):
            return
        found = np.zeros(len(rows), _MEMBERS)
        found["id"], found["reason"], found["documents"] = (
            parse_ids(batch["twin"].take(pa.array(rows))),
            reason[rows],
            1,
        )
        found["chars"] = pc.fill_null(batch["text_chars"], 0).to_numpy()[rows]
        self._pending.append(found)
        self._num_pending += len(found)
        if self._num_pending > _PENDING + len(self._members):  # so all in all every row is added up a few times
            self._add_up()

    def _add_up(self) -> None:
        members = np.concatenate([self._members, *self._pending])
        ids = members["id"]
        members = members[np.lexsort((members["reason"], ids[:, 1], ids[:, 0]))]
        same = (members["id"][1:] == members["id"][:-1]).all(axis=1) & (members["reason"][1:] == members["reason"][:-1])
        first = np.flatnonzero(~np.append(False, same)) if len(members) else np.zeros(0, np.int64)
        self._members = members[first]
        for name in ("documents", "chars") if len(members) else ():
            self._members[name] = np.add.reduceat(members[name], first)
        self._pending, self._num_pending = [], 0

    def close(self, run: Path) -> None:
        """Find what became of the twins."""
        self._add_up()
        ids = self._members["id"]
        new = np.append(True, (ids[1:] != ids[:-1]).any(axis=1))[: len(ids)]
        self._ids = ids[new]
        self._head = np.cumsum(new) - 1  # of each row of _members, its place in _ids
        self._keys = np.ascontiguousarray(self._ids[:, 0])
        num = len(self._ids)
        self._fates: list[str] = [KEPT, ABSENT]
        self._fate = np.full(num, 1, np.int16)
        self._chars, self._copies = np.zeros(num, np.int64), np.full(num, -1, np.int64)
        self._root = np.arange(num)
        self.total_copies: int | None = None  # the sum of the column over kept documents
        last = np.full(num, -1, np.int64)
        np.maximum.at(last, self._head, self._members["reason"])
        for path in sorted((run / "ledger").glob("*.arrow")):
            names = ["id", "drop_reasons", "twin", "text_chars"]
            names += [COPIES.name] * (COPIES.name in open_arrow(path).schema.names)
            for batch in read_batches(path, names):
                self._locate(batch, last)
        while (self._root != (above := self._root[self._root])).any():
            self._root = above

    def places(self, ids: pa.Array) -> np.ndarray:
        """i64[ids]: the place of each among the twins, -1 where it is none."""
        if not len(self._keys):
            return np.full(len(ids), -1, np.int64)
        keys = parse_ids(ids)[:, 0]
        places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[places] == keys, places, -1)

    def _locate(self, batch: pa.RecordBatch, last: np.ndarray) -> None:
        lists = batch["drop_reasons"]
        if COPIES.name in batch.schema.names:
            kept = pc.equal(pc.list_value_length(lists), 0)
            self.total_copies = (self.total_copies or 0) + (pc.sum(batch[COPIES.name].filter(kept)).as_py() or 0)
        places = self.places(batch["id"])
        rows = np.flatnonzero(places >= 0)
        if not len(rows):
            return
        taken = batch.take(pa.array(rows))
        twins = np.full(len(rows), -1, np.int64)
        with_twin = np.flatnonzero(taken["twin"].is_valid().to_numpy(zero_copy_only=False))
        twins[with_twin] = self.places(taken["twin"].take(pa.array(with_twin)))
        chars = pc.fill_null(taken["text_chars"], 0).to_numpy()
        copies = [-1] * len(rows)
        if COPIES.name in batch.schema.names:
            copies = pc.fill_null(taken[COPIES.name], -1).to_pylist()
        for i, (place, given) in enumerate(zip(places[rows].tolist(), taken["drop_reasons"].to_pylist(), strict=True)):
            fate = given[0] if given else KEPT
            if fate == "dedup.same_record":
                continue  # the other row of this id is the one
            if fate not in self._fates:
                self._fates.append(fate)
            self._fate[place], self._chars[place] = self._fates.index(fate), chars[i]
            self._copies[place] = copies[i]
            # Who stood for others left for its twin later than they did: chains go on, and have no rings.
            if fate in self.reasons and twins[i] >= 0 and self.reasons.index(fate) > last[place]:
                self._root[place] = twins[i]

    def __len__(self) -> int:
        """Groups over all stages."""
        return int(np.count_nonzero(self._is_root))

    @property
    def _is_root(self) -> np.ndarray:
        roots: np.ndarray = self._root == np.arange(len(self._root))
        return roots

    @property
    def _is_here(self) -> np.ndarray:
        here: np.ndarray = self._fate != 1
        return here

    def _sums(self, reason: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(places of the twins that stand for any, documents removed for each, their characters), over all or at one
        stage."""
        members, heads = self._members, self._head
        if reason is None:
            heads = self._root[heads]
        else:
            heads, members = heads[members["reason"] == reason], members[members["reason"] == reason]
        num = len(self._ids)
        documents = np.bincount(heads, members["documents"], num).astype(np.int64)
        chars = np.bincount(heads, members["chars"], num).astype(np.int64)
        places = np.flatnonzero(documents)
        return places, documents[places], chars[places]

    def sizes(self, reason: str | None, documents: int, chars: int) -> list[dict[str, Any]]:
        """Groups by size, over all or of one reason; `documents` and `chars` are those that were left, alone or not."""
        places, removed, removed_chars = self._sums(None if reason is None else self.reasons.index(reason))
        here = self._is_here[places]
        left = here if reason is not None else self._fate[places] == 0  # who left by a rule is not left over all
        classes = np.searchsorted(SIZES, removed + 1, side="right") - 1
        table = np.zeros((3, len(SIZES)), np.int64)
        for row, counts in enumerate((np.ones_like(removed), removed + here, removed_chars + self._chars[places])):
            np.add.at(table[row], classes, counts)
        alone = documents - int(np.count_nonzero(left))
        table[:, 0] = alone, alone, chars - int(self._chars[places[left]].sum())
        ends = [*(least - 1 for least in SIZES[1:]), None]
        return [
            {"from": least, "to": most, "groups": n, "documents": d, "characters": c}
            for least, most, (n, d, c) in zip(SIZES, ends, table.T.tolist(), strict=True)
        ]

    def all(self) -> Iterator[Group]:
        """The groups over all stages, in the order of ids."""
        yield from (self._group(*row) for row in zip(*(part.tolist() for part in self._sums(None)), strict=True))

    def _group(self, place: int, removed: int, chars: int) -> Group:
        (id,) = format_ids(self._ids[place : place + 1]).to_pylist()
        fate, copies = self._fates[self._fate[place]], int(self._copies[place])
        here = int(fate != ABSENT)
        return Group(
            id, fate, removed + here, removed + 1, chars + int(self._chars[place]), None if copies < 0 else copies
        )

    def largest(self, number: int) -> list[tuple[int, Group]]:
        """(place, group) of those with most documents, over all stages; ties by id."""
        places, removed, chars = self._sums(None)
        order = np.argsort(-removed, kind="stable")[:number]  # places ascend with ids
        rows = zip(places[order].tolist(), removed[order].tolist(), chars[order].tolist(), strict=True)
        return [(row[0], self._group(*row)) for row in rows]

    def above(self, size: int) -> int:
        """How many groups have more documents than `size`."""
        return int(np.count_nonzero(self._sums(None)[1] + 1 > size))

    def show(self, run: Path, chosen: Sequence[tuple[int, Group]]) -> list[Shown]:
        """These groups with the URLs of their documents, from one more pass over the ledger."""
        shown = {place: Shown(group) for place, group in chosen}
        if not shown:
            return []
        heads = format_ids(self._ids[np.isin(self._root, list(shown))])  # those on the chains, and where they end
        for path in sorted((run / "ledger").glob("*.arrow")):
            for batch in read_batches(path, ["id", "url", "source", "drop_reasons", "twin", "similarity"]):
                self._show(batch, path.stem, shown, heads)
        return [shown[place] for place, _ in chosen]

    def _show(self, batch: pa.RecordBatch, key: str, shown: dict[int, Shown], heads: pa.Array) -> None:
        of_group = pc.and_(
            pa.array(first_reasons(batch["drop_reasons"], self.reasons) >= 0), pc.is_in(batch["twin"], value_set=heads)
        )
        wanted = batch.filter(pc.or_(of_group, pc.is_in(batch["id"], value_set=heads)))
        own = self.places(wanted["id"])
        twins = self.places(pc.fill_null(wanted["twin"], "0" * 32))
        for place, twin, row in zip(own.tolist(), twins.tolist(), wanted.to_pylist(), strict=True):
            reason = row["drop_reasons"][0] if row["drop_reasons"] else KEPT
            if place in shown and reason == shown[place].group.fate:
                shown[place].url, shown[place].key, shown[place].source = row["url"] or "", key, row["source"]
            if twin >= 0 and reason in self.reasons and int(self._root[twin]) in shown:
                shown[int(self._root[twin])].members.append(
                    Member(row["id"], row["url"] or "", row["similarity"], reason)
                )
        for group in shown.values():
            _least(group.members)


def _least(members: list[Member]) -> None:
    members.sort(key=lambda member: member.id)
    del members[MEMBERS_SHOWN:]


def first_reasons(lists: pa.ListArray, reasons: Sequence[str]) -> np.ndarray:
    """i64[rows]: the place of each row's first reason in `reasons`, -1 for another one or none."""
    offsets = lists.offsets.to_numpy()
    found = np.full(len(lists), -1, np.int64)
    dropped = np.flatnonzero(np.diff(offsets))
    first = lists.values.take(pa.array(offsets[dropped]))
    found[dropped] = pc.fill_null(pc.index_in(first, value_set=pa.array(reasons, pa.string())), -1).to_numpy()
    return found
