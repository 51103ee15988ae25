"""The delivery store over any SQL database that gives transactions."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from tarnhelm.gateway.deliveries import statements as sql
from tarnhelm.gateway.deliveries.base import Begun, DeliveryRecord, DeliveryState, Released
from tarnhelm.gateway.manifest.line import GENESIS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tarnhelm.gateway.deliveries.base import Planned, Sign

__all__ = ["Rows", "SqlDeliveries", "Transaction"]

_T = TypeVar("_T")
Rows = list[tuple[Any, ...]]
_PAGE: Final = 500


class Transaction(Protocol):
    """One open transaction."""

    def rows(self, query: str, values: Sequence[Any] = ()) -> Rows:
        """Ask, or change with RETURNING."""
        ...

    def change(self, query: str, values: Sequence[Any]) -> int:
        """Change; returns how many rows."""
        ...


class SqlDeliveries:
    """Implements :class:`tarnhelm.gateway.deliveries.base.DeliveryStore` but for the connection.

    Work that is given to :meth:`_transact` comes to the same when it is done twice, because a connection may break
    after the server has committed and before it could say so.
    """

    _lock_rows: str = ""
    """What makes a reading statement pass over rows that another transaction has locked."""

    def _transact(self, work: Callable[[Transaction], _T]) -> _T:
        raise NotImplementedError

    # --- deliveries ------------------------------------------------------------------------------------

    def plan(self, writer: str, planned: Sequence[Planned], sign: Sign, now: float) -> Sequence[Begun]:
        """Enter deliveries and manifest lines of these objects, all or none; returns what is claimed with it."""

        def work(transaction: Transaction) -> list[Begun]:
            claimed: list[Begun] = []
            sequence, head = transaction.rows(sql.HEAD, (writer, GENESIS))[0]
            begun = sequence
            for one in sorted(planned, key=lambda one: one.object_id):  # in one order: no two wait for each other
                transaction.change(sql.OPEN, (one.object_id,))
                content, supersedes = b"", ""
                if one.leaves and not transaction.rows(
                    "SELECT 1 FROM lines WHERE object_id=? AND sha256=?", (one.object_id, one.sha256)
                ):
                    supersedes = _version_before(transaction, one)
                    sequence += 1
                    content = sign(one, sequence, head, supersedes)
                    transaction.change(sql.LINE, (writer, sequence, *_line_values(one), supersedes, content))
                    head = hashlib.sha256(content).hexdigest()
                for delivery in one.deliveries:
                    key = (one.object_id, delivery.destination, one.sha256, int(delivery.required))
                    due = delivery.due if delivery.attempts else now
                    values = (*key, delivery.state.value, delivery.attempts, due, delivery.code, now)
                    if transaction.change(sql.PLAN, values) and delivery.attempts:
                        claimed.append(Begun(delivery, content, supersedes))
            if sequence != begun:
                transaction.change("UPDATE writers SET sequence=?, head=? WHERE writer=?", (sequence, head, writer))
            return claimed

        return self._transact(work) if planned else ()

    def claim(self, destination: str, now: float, lease_seconds: float, most: int) -> Sequence[DeliveryRecord]:
        """Take what is due, the longest due first."""
        values = (destination, now, most, now + lease_seconds, destination)
        rows = self._transact(lambda transaction: transaction.rows(sql.CLAIM.format(lock=self._lock_rows), values))
        return [_record_of(row) for row in rows]

    def renew(self, records: Sequence[DeliveryRecord], until: float) -> None:
        """Keep claimed deliveries for longer."""

        def work(transaction: Transaction) -> None:
            for record in sorted(records, key=lambda one: (one.object_id, one.destination)):
                transaction.change(sql.RENEW, (until, record.object_id, record.destination, record.attempts))

        if records:
            self._transact(work)

    def settle(self, records: Sequence[DeliveryRecord], ended: Sequence[str] = ()) -> None:
        """Write down how claimed deliveries went, and what has ended."""

        def work(transaction: Transaction) -> None:
            for record in sorted(records, key=lambda one: one.object_id):  # in one order: no two wait for each other
                key = (record.object_id, record.destination, record.sha256)
                if record.state is DeliveryState.DELIVERED:
                    transaction.change(sql.DELIVERED, key)
                else:
                    values = (record.state.value, record.doubts, record.due, record.code, *key, record.attempts)
                    transaction.change(sql.FAILED, values)
            _end(transaction, ended)

        if records or ended:
            self._transact(work)

    def of(self, object_id: str) -> Sequence[DeliveryRecord]:
        """Deliveries of an object, by destination."""
        query = f"SELECT {sql.COLUMNS} FROM deliveries WHERE object_id=? ORDER BY destination"  # noqa: S608
        return [_record_of(row) for row in self._rows(query, (object_id,))]

    def of_all(self, object_ids: Sequence[str]) -> Mapping[str, Sequence[DeliveryRecord]]:
        """Deliveries of several objects, by destination."""
        found: dict[str, list[DeliveryRecord]] = {}
        for at in range(0, len(object_ids), _PAGE):
            page = object_ids[at : at + _PAGE]
            marks = ",".join("?" * len(page))
            query = f"SELECT {sql.COLUMNS} FROM deliveries WHERE object_id IN ({marks}) ORDER BY object_id, destination"  # noqa: S608
            for row in self._rows(query, tuple(page)):
                found.setdefault(row[0], []).append(_record_of(row))
        return found

    def listing(self, state: DeliveryState, destination: str = "", most: int = 1000) -> Sequence[DeliveryRecord]:
        """Deliveries in a state, by object id."""
        where = "state=? AND destination=?" if destination else "state=?"
        values = (state.value, destination, most) if destination else (state.value, most)
        query = f"SELECT {sql.COLUMNS} FROM deliveries WHERE {where} ORDER BY object_id, destination LIMIT ?"  # noqa: S608
        return [_record_of(row) for row in self._rows(query, values)]

    def retry(self, object_id: str, destination: str, now: float) -> bool:
        """Make a held or waived delivery due again."""
        query = (
            "UPDATE deliveries SET state='due', doubts=0, due=?, code='' WHERE object_id=? AND destination=?"
            " AND state IN ('held', 'waived')"
        )
        return self._changed(query, (now, object_id, destination))

    def waive(self, object_id: str, destination: str) -> bool:
        """Give up a delivery that is due or held."""
        query = "UPDATE deliveries SET state='waived' WHERE object_id=? AND destination=? AND state IN ('due', 'held')"
        return self._changed(query, (object_id, destination))

    def drop(self, object_id: str) -> None:
        """Forget the deliveries of an object."""
        self._changed("DELETE FROM deliveries WHERE object_id=?", (object_id,))
        self.ended([object_id])

    def ended(self, object_ids: Sequence[str]) -> None:
        """Write down that the records of these objects have left VERIFIED."""
        if object_ids:
            self._transact(lambda transaction: _end(transaction, object_ids))

    def waiting_for_nothing(self, after: str = "", most: int = 500) -> Sequence[str]:
        """Objects that were planned, have not ended, and have no required delivery due."""
        return [str(row[0]) for row in self._rows(sql.WAITING_FOR_NOTHING, (after, most))]

    def counts(self) -> Mapping[tuple[str, DeliveryState], int]:
        """How many deliveries of each destination are in each state."""
        rows = self._rows("SELECT destination, state, count(*) FROM deliveries GROUP BY destination, state")
        return {(destination, DeliveryState(state)): count for destination, state, count in rows}

    def oldest_due(self) -> Mapping[str, float]:
        """When the delivery that has been open longest was planned, for each destination."""
        rows = self._rows("SELECT destination, min(planned) FROM deliveries WHERE state='due' GROUP BY destination")
        return {str(destination): float(planned) for destination, planned in rows}

    # --- manifest --------------------------------------------------------------------------------------

    def line(self, object_id: str, sha256: str) -> tuple[bytes, str]:
        """Manifest line of an object, and the object id of the version that it replaces."""
        rows = self._rows("SELECT content, supersedes FROM lines WHERE object_id=? AND sha256=?", (object_id, sha256))
        return (bytes(rows[0][0]), str(rows[0][1])) if rows else (b"", "")

    def lines(self, writer: str, after: int = 0) -> Iterator[tuple[int, bytes]]:
        """Lines of one chain with their numbers, in order."""
        query = f"SELECT sequence, content FROM lines WHERE writer=? AND sequence>? ORDER BY sequence LIMIT {_PAGE}"  # noqa: S608
        while rows := self._rows(query, (writer, after)):
            for sequence, content in rows:
                yield int(sequence), bytes(content)
            after = rows[-1][0]

    def writers(self) -> Sequence[str]:
        """All who have written lines, sorted."""
        return sorted(str(row[0]) for row in self._rows("SELECT writer FROM writers WHERE sequence>0"))

    def released(self, project: str, patient_ids: Sequence[str], studies: Sequence[str]) -> Sequence[Released]:
        """What the manifest has of these surrogates."""
        found: dict[tuple[str, str], Released] = {}
        for column, names in (("patient_id", patient_ids), ("study", studies)):
            query = f"SELECT object_id, sha256, sop_instance, path FROM lines WHERE project=? AND {column}=?"  # noqa: S608
            for name in names:
                found |= {(row[0], row[1]): Released(*row) for row in self._rows(query, (project, name))}
        return [found[key] for key in sorted(found)]

    # --- withdrawals -----------------------------------------------------------------------------------

    def bury(self, digests: Sequence[bytes], order: str, now: float) -> None:
        """Enter tombstones."""

        def work(transaction: Transaction) -> None:
            for digest in sorted(digests):
                transaction.change(sql.BURY, (digest, order, now))

        self._transact(work)

    def buried(self, digests: Sequence[bytes]) -> bool:
        """Whether any of these has a tombstone."""
        marks = ",".join("?" * len(digests))
        return bool(digests) and bool(self._rows(f"SELECT 1 FROM tombstones WHERE digest IN ({marks})", tuple(digests)))  # noqa: S608

    def told(self, order: str) -> frozenset[str]:
        """Which steps of a withdrawal order are done."""
        return frozenset(str(row[0]) for row in self._rows("SELECT step FROM told WHERE withdrawal=?", (order,)))

    def tell(self, order: str, step: str, now: float) -> None:
        """Write down that a step of an order is done."""
        self._changed(sql.TELL, (order, step, now))

    # --- one statement ---------------------------------------------------------------------------------

    def _rows(self, query: str, values: Sequence[Any] = ()) -> Rows:
        return self._transact(lambda transaction: transaction.rows(query, values))

    def _changed(self, query: str, values: Sequence[Any]) -> bool:
        return self._transact(lambda transaction: transaction.change(query, values)) > 0


def _end(transaction: Transaction, object_ids: Sequence[str]) -> None:
    for object_id in sorted(object_ids):
        transaction.change("DELETE FROM unreleased WHERE object_id=?", (object_id,))


def _version_before(transaction: Transaction, one: Planned) -> str:
    if not one.sop_instance:
        return ""
    query = (
        "SELECT object_id FROM lines WHERE project=? AND sop_instance=? AND (object_id<>? OR sha256<>?)"
        " ORDER BY number DESC LIMIT 1"
    )
    rows = transaction.rows(query, (one.project, one.sop_instance, one.object_id, one.sha256))
    return str(rows[0][0]) if rows else ""


def _line_values(one: Planned) -> tuple[Any, ...]:
    return (one.object_id, one.sha256, one.project, one.patient_id, one.study, one.sop_instance, one.path)


def _record_of(row: tuple[Any, ...]) -> DeliveryRecord:
    object_id, destination, sha256, required, state, attempts, doubts, due, code = row
    return DeliveryRecord(
        object_id, destination, sha256, bool(required), DeliveryState(state), attempts, doubts, due, code
    )
