"""Clusters of duplicates: a representative, and all documents whose chain of twins ends there.

    near       a ─▶ b    c ─▶ b          b passed `near` and represents a and c
    url_dedup            b ─▶ d          then b was removed for d: all four are d's cluster, of size 4

    ledger ──once──▶ members by (twin, reason) ──once more──▶ the fates of the twins ──▶ sizes, largest, samples

Memory is 60 bytes a twin, none for documents without copies; 16 bytes more where ids of twins share their first 16
digits, as ids do that count up.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dedup.files.documents import format_ids, parse_ids
from dedup.same_record import SAME_RECORD
from pipelines.ledger.batches import LedgerBatch, ledger_batches
from pipelines.recipe import Recipe
from pipelines.run.folder import RunFolder
from shards.schema import COPIES, KEPT

SIZES = (1, 2, 3, 4, 10, 100, 1000)  # the smallest size of each class; the last class has no end
ABSENT = "not in this run"  # the fate of a twin that an index of other runs holds
MEMBERS_SHOWN = 5

_MEMBERS = np.dtype([("id", "<u8", 2), ("reason", "<i8"), ("documents", "<i8"), ("chars", "<i8")])
_PENDING = 1 << 18  # rows that are gathered before they are added up


def cluster_reasons(recipe: Recipe) -> tuple[str, ...]:
    """The drop reasons of stages that remove a document as a copy of its twin, in recipe order."""
    return tuple(dict.fromkeys(stage.reason for stage in recipe.global_stages() if stage.removes_copies))


@dataclass(frozen=True)
class Cluster:
    """A representative with what was removed for it."""

    id: str  # of the representative
    fate: str  # of the representative, which may itself have been dropped later
    documents: int  # of this run, the representative included if it is one of them
    size: int  # documents, the representative included
    chars: int
    copies: int | None  # as the representative's own row says


@dataclass
class Member:
    """A removed document."""

    id: str
    url: str
    similarity: float | None
    reason: str


@dataclass
class ShownCluster:
    """A cluster with what a person wants to see of it."""

    cluster: Cluster
    url: str = ""  # of the representative
    key: str = ""  # of the unit that holds the representative; "" where it is not of this run
    source: str = ""
    members: list[Member] = field(default_factory=list)  # those of the smallest ids: a random choice, always the same


class SizeCounts(NamedTuple):
    """The clusters of one class of sizes."""

    least: int  # smallest size of the class, in documents
    most: int | None  # largest; None for the last class
    clusters: int
    documents: int  # of this run
    chars: int


class Clusters:
    """Collects clusters. Give `add` every batch of the ledger, then call `close` once, then ask."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        self._members, self._pending = np.zeros(0, _MEMBERS), list[np.ndarray]()
        self._num_pending = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """`batch` has `drop_reasons`, `twin` and `text_chars`."""
        reason = first_reasons(batch["drop_reasons"], self.reasons)
        rows = np.flatnonzero((reason >= 0) & batch["twin"].is_valid().to_numpy(zero_copy_only=False))
        if not len(rows):
            return
        members = np.zeros(len(rows), _MEMBERS)
        members["id"] = parse_ids(batch["twin"].take(pa.array(rows)))
        members["reason"], members["documents"] = reason[rows], 1
        members["chars"] = pc.fill_null(batch["text_chars"], 0).to_numpy()[rows]
        self._pending.append(members)
        self._num_pending += len(members)
        if self._num_pending > _PENDING + len(self._members):  # so each row is added up only a few times
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

    def close(self, run: RunFolder) -> None:
        """Look up the fates of the twins."""
        self._add_up()
        ids = self._members["id"]
        new = np.append(True, (ids[1:] != ids[:-1]).any(axis=1))[: len(ids)]
        self._ids = ids[new]
        self._twin = np.cumsum(new) - 1  # of each row of _members, the index of its twin in _ids
        self._keys = np.ascontiguousarray(self._ids[:, 0])
        self._whole = _as_bytes(self._ids) if (self._keys[1:] == self._keys[:-1]).any() else None
        num = len(self._ids)
        self._fates: list[str] = [KEPT, ABSENT]
        self._fate = np.full(num, 1, np.int16)
        self._chars, self._copies = np.zeros(num, np.int64), np.full(num, -1, np.int64)
        self._root = np.arange(num)
        self.total_copies: int | None = None  # the sum of the column over kept documents
        last = np.full(num, -1, np.int64)
        np.maximum.at(last, self._twin, self._members["reason"])
        for batch in ledger_batches(run, ["id", "drop_reasons", "twin", "text_chars"], [COPIES.name]):
            self._locate(batch.rows, last)
        while (self._root != (above := self._root[self._root])).any():
            self._root = above

    def positions(self, ids: pa.Array) -> np.ndarray:
        """i64[ids]: the index of each among the twins, -1 where it is none."""
        found = np.full(len(ids), -1, np.int64)
        if not len(self._keys):
            return found
        wanted, last = parse_ids(ids), len(self._keys) - 1
        places = np.minimum(np.searchsorted(self._keys, wanted[:, 0]), last)
        rows = np.flatnonzero(self._keys[places] == wanted[:, 0])  # mostly few: they alone are compared whole
        places, wanted = places[rows], wanted[rows]
        if self._whole is not None:
            places = np.minimum(np.searchsorted(self._whole, _as_bytes(wanted)), last)
        same = (self._ids[places] == wanted).all(axis=1)
        found[rows[same]] = places[same]
        return found

    def _locate(self, batch: pa.RecordBatch, last: np.ndarray) -> None:
        lists = batch["drop_reasons"]
        if COPIES.name in batch.schema.names:
            kept = pc.equal(pc.list_value_length(lists), 0)
            self.total_copies = (self.total_copies or 0) + (pc.sum(batch[COPIES.name].filter(kept)).as_py() or 0)
        positions = self.positions(batch["id"])
        rows = np.flatnonzero(positions >= 0)
        if not len(rows):
            return
        taken = batch.take(pa.array(rows))
        twins = np.full(len(rows), -1, np.int64)
        with_twin = np.flatnonzero(taken["twin"].is_valid().to_numpy(zero_copy_only=False))
        twins[with_twin] = self.positions(taken["twin"].take(pa.array(with_twin)))
        chars = pc.fill_null(taken["text_chars"], 0).to_numpy()
        copies = [-1] * len(rows)
        if COPIES.name in batch.schema.names:
            copies = pc.fill_null(taken[COPIES.name], -1).to_pylist()
        reasons = taken["drop_reasons"].to_pylist()
        for i, (position, of_row) in enumerate(zip(positions[rows].tolist(), reasons, strict=True)):
            fate = of_row[0] if of_row else KEPT
            if fate == SAME_RECORD.reason:
                continue  # the other row of this id was compared
            if fate not in self._fates:
                self._fates.append(fate)
            self._fate[position], self._chars[position] = self._fates.index(fate), chars[i]
            # Several rows have one id where the source's ids do not identify records.
            self._copies[position] = max(self._copies[position], 0) + copies[i] if copies[i] >= 0 else copies[i]
            # A representative is removed for its own twin by a later stage than its members: chains have no rings.
            if fate in self.reasons and twins[i] >= 0 and self.reasons.index(fate) > last[position]:
                self._root[position] = twins[i]

    def __len__(self) -> int:
        """How many clusters there are over all stages."""
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
        """(positions of representatives, documents removed for each, their characters), over all stages or at one."""
        members, twins = self._members, self._twin
        if reason is None:
            twins = self._root[twins]
        else:
            twins, members = twins[members["reason"] == reason], members[members["reason"] == reason]
        num = len(self._ids)
        documents = np.bincount(twins, members["documents"], num).astype(np.int64)
        chars = np.bincount(twins, members["chars"], num).astype(np.int64)
        positions = np.flatnonzero(documents)
        return positions, documents[positions], chars[positions]

    def sizes(self, reason: str | None, documents: int, chars: int) -> list[SizeCounts]:
        """Clusters by size, over all stages or of one reason.

        `documents` and `chars` count what was kept: representatives, and documents without copies, which are clusters
        of size 1.
        """
        positions, removed, removed_chars = self._sums(None if reason is None else self.reasons.index(reason))
        here = self._is_here[positions]
        # Over all stages, a representative that a rule dropped is not kept.
        kept = here if reason is not None else self._fate[positions] == 0
        classes = np.searchsorted(SIZES, removed + 1, side="right") - 1
        table = np.zeros((3, len(SIZES)), np.int64)
        for row, counts in enumerate((np.ones_like(removed), removed + here, removed_chars + self._chars[positions])):
            np.add.at(table[row], classes, counts)
        alone = documents - int(np.count_nonzero(kept))
        table[:, 0] = alone, alone, chars - int(self._chars[positions[kept]].sum())
        ends = [*(least - 1 for least in SIZES[1:]), None]
        rows = zip(SIZES, ends, table.T.tolist(), strict=True)
        return [SizeCounts(least, most, *counts) for least, most, counts in rows]

    def all(self) -> Iterator[Cluster]:
        """The clusters over all stages, in the order of ids."""
        yield from (self._cluster(*row) for row in zip(*(part.tolist() for part in self._sums(None)), strict=True))

    def _cluster(self, position: int, removed: int, chars: int) -> Cluster:
        (id,) = format_ids(self._ids[position : position + 1]).to_pylist()
        fate, copies = self._fates[self._fate[position]], int(self._copies[position])
        return Cluster(
            id,
            fate,
            documents=removed + (fate != ABSENT),
            size=removed + 1,
            chars=chars + int(self._chars[position]),
            copies=None if copies < 0 else copies,
        )

    def largest(self, number: int) -> list[tuple[int, Cluster]]:
        """(position, cluster) of the clusters with most documents, over all stages; equals in the order of ids."""
        positions, removed, chars = self._sums(None)
        order = np.argsort(-removed, kind="stable")[:number]  # positions ascend with ids
        rows = zip(positions[order].tolist(), removed[order].tolist(), chars[order].tolist(), strict=True)
        return [(row[0], self._cluster(*row)) for row in rows]

    def above(self, size: int) -> int:
        """How many clusters have more documents than `size`."""
        return int(np.count_nonzero(self._sums(None)[1] + 1 > size))

    def show(self, run: RunFolder, chosen: Sequence[tuple[int, Cluster]]) -> list[ShownCluster]:
        """These clusters with the URLs of their documents, from one more pass over the ledger."""
        shown = {position: ShownCluster(cluster) for position, cluster in chosen}
        if not shown:
            return []
        twins = format_ids(self._ids[np.isin(self._root, list(shown))])  # representatives, and twins on chains to them
        names = ["id", "url", "source", "drop_reasons", "twin", "similarity"]
        for part in ledger_batches(run, names):
            self._show(part, shown, twins)
        return [shown[position] for position, _ in chosen]

    def _show(self, part: LedgerBatch, shown: dict[int, ShownCluster], twins: pa.Array) -> None:
        batch = part.rows
        is_removed = pa.array(first_reasons(batch["drop_reasons"], self.reasons) >= 0)
        is_member = pc.and_(is_removed, pc.is_in(batch["twin"], value_set=twins))
        mask = pc.or_(is_member, pc.is_in(batch["id"], value_set=twins))
        numbers, chosen = np.flatnonzero(mask.to_numpy(zero_copy_only=False)), batch.filter(mask)
        own = self.positions(chosen["id"])
        of_twin = self.positions(pc.fill_null(chosen["twin"], "0" * 32))
        rows = zip(numbers.tolist(), own.tolist(), of_twin.tolist(), chosen.to_pylist(), strict=True)
        for number, position, twin, row in rows:
            reason = row["drop_reasons"][0] if row["drop_reasons"] else KEPT
            if position in shown and reason == shown[position].cluster.fate:
                shown[position].url, shown[position].key = row["url"] or "", str(part.key_of(number))
                shown[position].source = row["source"]
            if twin >= 0 and reason in self.reasons and int(self._root[twin]) in shown:
                member = Member(row["id"], row["url"] or "", row["similarity"], reason)
                shown[int(self._root[twin])].members.append(member)
        for cluster in shown.values():
            _keep_smallest(cluster.members)


def _as_bytes(ids: np.ndarray) -> np.ndarray:
    """S16[ids] in the order of `ids`, which are u64[ids, 2]."""
    return ids.astype(">u8", order="C").view("S16").ravel()


def _keep_smallest(members: list[Member]) -> None:
    members.sort(key=lambda member: member.id)
    del members[MEMBERS_SHOWN:]


def first_reasons(lists: pa.ListArray, reasons: Sequence[str]) -> np.ndarray:
    """i64[rows]: the index of each row's first reason in `reasons`, -1 for another reason or none."""
    offsets = lists.offsets.to_numpy()
    indices = np.full(len(lists), -1, np.int64)
    dropped = np.flatnonzero(np.diff(offsets))
    first = lists.values.take(pa.array(offsets[dropped]))
    indices[dropped] = pc.fill_null(pc.index_in(first, value_set=pa.array(reasons, pa.string())), -1).to_numpy()
    return indices
