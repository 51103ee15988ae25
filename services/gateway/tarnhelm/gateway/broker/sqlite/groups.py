"""Who shares which partitions: members, their heartbeats, and the hand-over of a partition.

Every change is made by some member in one write transaction, so there is no coordinator that could die. A
partition has a *target*, the member that should have it, and an *owner*, the one that has it. The target is worked
out again whenever members come or go, with as few moves as possible; the owner lets go the next time it polls, and
only then the target takes over (cooperative rebalancing). An owner that is dead, or silent for a session, is put
out by the others. Each take-over raises the partition's *epoch*; a commit under an older one is refused.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tarnhelm.gateway.broker.base import Partition
from tarnhelm.gateway.broker.sqlite.files import write

if TYPE_CHECKING:
    from tarnhelm.gateway.broker.base import ConsumerSettings

__all__ = ["Groups", "Member", "Share", "View"]


@dataclass(frozen=True, slots=True)
class Member:
    """Who asks."""

    group: str
    name: str
    topics: tuple[str, ...]
    settings: ConsumerSettings


@dataclass(frozen=True, slots=True)
class Share:
    """One partition that a member owns."""

    epoch: int
    committed: int


@dataclass(frozen=True, slots=True)
class View:
    """What a member learns.

    Attributes
    ----------
    shares
        What it owns now.
    wake
        Members that have something to let go of or to take over.
    evicted
        Members that were put out.
    """

    shares: Mapping[Partition, Share]
    wake: frozenset[str]
    evicted: frozenset[str]


class Groups:
    """One connection to the members and positions; used by one thread at a time."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._topics: dict[str, frozenset[str]] = {}

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    def version(self) -> int:
        """Return a number that changes when another connection has written."""
        return int(self._database.execute("PRAGMA data_version").fetchone()[0])

    def stands(self, member: Member, owned: Mapping[Partition, int]) -> bool:
        """Whether there is nothing for this member to take over, to let go of, or to renew.

        Parameters
        ----------
        owned
            Partition → epoch, as the member knows it.
        """
        query = "SELECT 1 FROM members WHERE grp=? AND member=?"
        if self._database.execute(query, (member.group, member.name)).fetchone() is None:
            return False
        query = "SELECT topic, number, target, owner, epoch FROM shares WHERE grp=? AND ? IN (target, owner)"
        mine = set()
        for topic, number, target, owner, epoch in self._database.execute(query, (member.group, member.name)):
            partition = Partition(topic, number)
            if target != owner or owned.get(partition) != epoch:
                # A target whose partition another living member still has can do nothing but wait.
                if target == member.name and owner is not None and owner != member.name:
                    continue
                return False
            mine.add(partition)
        return mine == set(owned)

    def others(self, member: Member) -> list[str]:
        """Return the other members of the group."""
        query = "SELECT member FROM members WHERE grp=? AND member<>?"
        return [row[0] for row in self._database.execute(query, (member.group, member.name))]

    def listeners(self, topics: Collection[str]) -> list[str]:
        """Return the members, of all groups, that read one of these topics."""
        found = self._database.execute("SELECT member, topics FROM members")
        return [member for member, text in found if not self._read(text).isdisjoint(topics)]

    def sync(
        self,
        member: Member,
        bounds: Mapping[Partition, tuple[int, int]],
        gone: Collection[str],
        now: float,
    ) -> View:
        """Say that this member lives, put dead ones out, share anew where needed, let go and take over.

        Parameters
        ----------
        bounds
            Oldest and next offset of every partition of the member's topics.
        gone
            Members whose process is known to be dead.
        """
        with write(self._database):
            evicted = self._renew(member, gone, now)
            self._enter(member.group, bounds)
            wake = self._share(member.group)
            name = member.name
            # Let go first, then take what is free: both in the same transaction.
            letting_go = "UPDATE shares SET owner=NULL WHERE grp=? AND owner=? AND target IS NOT ? RETURNING target"
            freed = self._database.execute(letting_go, (member.group, name, name)).fetchall()
            taking = "UPDATE shares SET owner=?, epoch=epoch+1 WHERE grp=? AND target=? AND owner IS NULL"
            self._database.execute(taking, (name, member.group, name))
            query = "SELECT topic, number, epoch, committed FROM shares WHERE grp=? AND owner=?"
            shares = {
                Partition(topic, number): Share(epoch, committed)
                for topic, number, epoch, committed in self._database.execute(query, (member.group, name))
            }
        wake |= {row[0] for row in freed if row[0]}
        return View(shares, frozenset(wake - {name} - evicted), frozenset(evicted))

    def leave(self, member: Member) -> frozenset[str]:
        """Let go of everything; returns who has something to take over."""
        with write(self._database):
            self._put_out(member.group, {member.name})
            return frozenset(self._share(member.group))

    def commit(
        self, member: Member, positions: Mapping[Partition, int], epochs: Mapping[Partition, int]
    ) -> set[Partition]:
        """Move positions forward; returns the partitions of which this member is the owner no more."""
        lost = set()
        statement = (
            "UPDATE shares SET committed=MAX(committed, ?), has_committed=1"
            " WHERE grp=? AND topic=? AND number=? AND owner=? AND epoch=?"
        )
        with write(self._database):
            for partition, offset in positions.items():
                row = (offset, member.group, partition.topic, partition.number, member.name, epochs[partition])
                if not self._database.execute(statement, row).rowcount:
                    lost.add(partition)
        return lost

    def positions(self, group: str, topic: str) -> dict[Partition, int]:
        """Return the positions that a group has committed."""
        query = "SELECT number, committed FROM shares WHERE grp=? AND topic=? AND has_committed=1"
        return {
            Partition(topic, number): committed for number, committed in self._database.execute(query, (group, topic))
        }

    def _read(self, text: str) -> frozenset[str]:
        """Read a member's topics; each text once, because each batch of records asks."""
        found = self._topics.get(text)
        if found is None:
            found = self._topics[text] = frozenset(json.loads(text))
        return found

    # --- inside a transaction ------------------------------------------------------------------------------

    def _renew(self, member: Member, gone: Collection[str], now: float) -> set[str]:
        group = member.group
        self._database.execute(
            "INSERT OR REPLACE INTO members VALUES (?,?,?,?,?)",
            (group, member.name, json.dumps(member.topics), now, member.settings.session_seconds),
        )
        # A heartbeat out of the future is one of before the clock was set back.
        query = "SELECT member FROM members WHERE grp=? AND member<>? AND ABS(? - seen) > session"
        silent = {row[0] for row in self._database.execute(query, (group, member.name, now))}
        evicted = silent | (set(gone) - {member.name})
        self._put_out(group, evicted)
        return evicted

    def _put_out(self, group: str, members: Collection[str]) -> None:
        rows = [(group, name) for name in members]
        self._database.executemany("DELETE FROM members WHERE grp=? AND member=?", rows)
        self._database.executemany("UPDATE shares SET owner=NULL WHERE grp=? AND owner=?", rows)
        self._database.executemany("UPDATE shares SET target=NULL WHERE grp=? AND target=?", rows)

    def _enter(self, group: str, bounds: Mapping[Partition, tuple[int, int]]) -> None:
        rows = [(group, one.topic, one.number, first) for one, (first, _) in bounds.items()]
        statement = "INSERT OR IGNORE INTO shares (grp, topic, number, committed) VALUES (?,?,?,?)"
        self._database.executemany(statement, rows)

    def _share(self, group: str) -> set[str]:
        """Give every partition a target, evenly, moving as few as possible; returns who is affected."""
        readers: dict[str, list[str]] = defaultdict(list)
        query = "SELECT member, topics FROM members WHERE grp=? ORDER BY member"
        for name, text in self._database.execute(query, (group,)):
            for topic in json.loads(text):
                readers[topic].append(name)
        held: dict[str, list[tuple[int, str | None]]] = defaultdict(list)
        query = "SELECT topic, number, target FROM shares WHERE grp=? ORDER BY topic, number"
        for topic, number, target in self._database.execute(query, (group,)):
            held[topic].append((number, target))
        load: dict[str, int] = defaultdict(int)
        changes: list[tuple[str | None, str, str, int]] = []
        affected: set[str] = set()
        for topic, rows in held.items():
            for number, before, after in _spread(rows, readers.get(topic, []), load):
                changes.append((after, group, topic, number))
                affected |= {name for name in (before, after) if name}
        if changes:
            statement = "UPDATE shares SET target=? WHERE grp=? AND topic=? AND number=?"
            self._database.executemany(statement, changes)
        return affected


def _spread(
    rows: list[tuple[int, str | None]], readers: list[str], load: dict[str, int]
) -> list[tuple[int, str | None, str | None]]:
    """Return the moves (number, from, to) that share one topic's partitions evenly.

    ``load`` counts over the topics, so that the members with one partition more are not the same for each topic.
    """
    if not readers:
        return [(number, target, None) for number, target in rows if target is not None]
    keep: dict[str, list[int]] = {name: [] for name in readers}
    free: list[int] = []
    for number, target in rows:
        keep.get(target or "", free).append(number)
    low, extra = divmod(len(rows), len(readers))
    # Those that hold the most of this topic may keep one more; then those that have the least elsewhere.
    ranked = sorted(readers, key=lambda name: (-len(keep[name]), load[name], name))
    quota = {name: low + (rank < extra) for rank, name in enumerate(ranked)}
    before = dict(rows)
    for name, numbers in keep.items():
        free += numbers[quota[name] :]
        del numbers[quota[name] :]
    moves: list[tuple[int, str | None, str | None]] = []
    free.sort(reverse=True)
    for name in ranked:
        while len(keep[name]) < quota[name]:
            number = free.pop()
            keep[name].append(number)
            moves.append((number, before[number], name))
        load[name] += len(keep[name])
    return moves
