"""The questions of the stream, as both databases understand them: ``?`` marks a value."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.gateway.plans import ProjectPlan, plan_of
from tarnhelm.gateway.record import ObjectRecord, State
from tarnhelm.gateway.state.base import Decision, StaleRecordError
from tarnhelm.gateway.state.schema import COLUMNS, STEP
from tarnhelm.gateway.state.stream import UNFINISHED, Step, Tally, VolumeRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["StreamQueries", "record_of"]

_PLAN: Final = (
    "INSERT INTO plans (digest, document) VALUES (?, ?) ON CONFLICT (digest) DO UPDATE SET document = EXCLUDED.document"
)
_CURRENT: Final = (
    "INSERT INTO current_plans (project, digest) VALUES (?, ?)"
    " ON CONFLICT (project) DO UPDATE SET digest = EXCLUDED.digest"
)
_VOLUME: Final = "volume, plan_digest, revision, state, members, geometry, opened, touched"
_OBJECTS: Final = f"SELECT {COLUMNS} FROM objects"  # noqa: S608  # our own names


class StreamQueries:
    """Half of a :class:`tarnhelm.gateway.state.stream.StreamStore`; the other half runs these statements."""

    def _asked(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        raise NotImplementedError

    def _told(self, query: str, values: tuple[Any, ...]) -> int:
        """Return how many rows were written."""
        raise NotImplementedError

    def hold(self, key: bytes) -> None:
        """Keep others from what this names until the transaction ends."""
        raise NotImplementedError

    # --- plans -----------------------------------------------------------------------------------------

    def put_plan(self, plan: ProjectPlan) -> None:
        """Keep a plan and make it its project's current one."""
        self._told(_PLAN, (plan.digest, plan.document()))
        self._told(_CURRENT, (plan.project, plan.digest))

    def plan(self, digest: str) -> ProjectPlan | None:
        """Return the plan of a digest."""
        rows = self._asked("SELECT document FROM plans WHERE digest=?", (digest,))
        return plan_of(bytes(rows[0][0])) if rows else None

    def current_plan(self, project: str) -> ProjectPlan | None:
        """Return a project's current plan."""
        wanted = "SELECT document FROM plans WHERE digest=(SELECT digest FROM current_plans WHERE project=?)"
        rows = self._asked(wanted, (project,))
        return plan_of(bytes(rows[0][0])) if rows else None

    def projects(self) -> Sequence[str]:
        """Projects that have a plan."""
        return [row[0] for row in self._asked("SELECT project FROM current_plans ORDER BY project")]

    # --- lists -----------------------------------------------------------------------------------------

    def find_uid(self, uid_digest: bytes) -> Sequence[ObjectRecord]:
        """Return the objects of a keyed UID, the oldest first."""
        if not uid_digest:
            return []
        self.hold(uid_digest)
        query = f"{_OBJECTS} WHERE uid_digest=? AND uid_digest<>{self._empty} ORDER BY received, object_id"
        return [record_of(row) for row in self._asked(query, (uid_digest,))]

    _empty = "x''"
    """A blob without bytes, in the words of the database."""

    def page(
        self,
        state: State | None = None,
        *,
        code: str = "",
        project: str = "",
        after: ObjectRecord | None = None,
        limit: int = 50,
    ) -> Sequence[ObjectRecord]:
        """Return objects of the stream, the newest first."""
        terms, values = ["door<>''"], []
        for column, value in (("state", state.value if state else ""), ("code", code), ("project", project)):
            if value:
                terms.append(f"{column}=?")
                values.append(value)
        keyset: tuple[Any, ...] = ()
        if after is not None:
            terms.append("(received, object_id) < (?, ?)")
            keyset = (after.received, after.object_id)
        query = f"{_OBJECTS} WHERE {' AND '.join(terms)} ORDER BY received DESC, object_id DESC LIMIT ?"
        return [record_of(row) for row in self._asked(query, (*values, *keyset, limit))]

    def tallies(self) -> dict[State, Tally]:
        """Count the objects of the stream by state."""
        rows = self._asked("SELECT state, count(*), min(received) FROM objects WHERE door<>'' GROUP BY state")
        return {State(row[0]): Tally(int(row[1]), float(row[2])) for row in rows}

    def oldest(self) -> dict[State, float]:
        """When the oldest object of each unfinished state was accepted."""
        found = {}
        for state in UNFINISHED:
            rows = self._asked("SELECT min(received) FROM objects WHERE door<>'' AND state=?", (state.value,))
            if rows[0][0] is not None:
                found[state] = float(rows[0][0])
        return found

    def untouched(self, before: float, *states: State, limit: int = 500) -> Sequence[ObjectRecord]:
        """Return objects whose last step lies before a moment."""
        found: list[ObjectRecord] = []
        later = "SELECT 1 FROM steps WHERE steps.object_id=objects.object_id AND steps.at>=?"
        query = (
            f"{_OBJECTS} WHERE door<>'' AND state=? AND received<? AND NOT EXISTS ({later}) ORDER BY received LIMIT ?"
        )
        for state in states:
            rows = self._asked(query, (state.value, before, before, limit - len(found)))
            found.extend(map(record_of, rows))
            if len(found) >= limit:
                break
        return found

    # --- the road --------------------------------------------------------------------------------------

    def add_step(self, object_id: str, step: Step) -> None:
        """Note one step."""
        self._told(STEP, (object_id, step.at, step.step, step.code, step.seconds))

    def steps(self, object_id: str) -> Sequence[Step]:
        """Return an object's road."""
        query = "SELECT at, step, code, seconds FROM steps WHERE object_id=? ORDER BY at, step"
        return [Step(*row) for row in self._asked(query, (object_id,))]

    def decisions_of(self, object_id: str) -> Sequence[Decision]:
        """Return the decisions about one object."""
        query = (
            "SELECT object_id, kind, decided_by, reason, code, decided FROM decisions WHERE object_id=? ORDER BY number"
        )
        return [Decision(*row) for row in self._asked(query, (object_id,))]

    # --- volumes ---------------------------------------------------------------------------------------

    def members(self, volume: str) -> Sequence[ObjectRecord]:
        """Return the objects of a volume."""
        query = f"{_OBJECTS} WHERE volume=? AND volume<>'' ORDER BY object_id"
        return [record_of(row) for row in self._asked(query, (volume,))]

    def put_volume(self, volume: VolumeRecord, was: VolumeRecord | None) -> None:
        """Enter a volume or compare-and-set its revision."""
        row = astuple(volume)
        if was is None:
            marks = ", ".join("?" * len(row))
            query = f"INSERT INTO volumes ({_VOLUME}) VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608
            written = self._told(query, row)
        else:
            query = (
                "UPDATE volumes SET plan_digest=?, revision=?, state=?, members=?, geometry=?, opened=?, touched=?"
                " WHERE volume=? AND revision=?"
            )
            written = self._told(query, (*row[1:], was.volume, was.revision))
        if written != 1:
            raise StaleRecordError(volume.volume)

    def volume(self, volume: str) -> VolumeRecord | None:
        """Return one volume."""
        rows = self._asked(f"SELECT {_VOLUME} FROM volumes WHERE volume=?", (volume,))  # noqa: S608
        return VolumeRecord(*rows[0]) if rows else None

    def volumes(self, state: str, before: float, limit: int = 200) -> Sequence[VolumeRecord]:
        """Return volumes that nobody has touched since a moment."""
        query = f"SELECT {_VOLUME} FROM volumes WHERE state=? AND touched<? ORDER BY touched LIMIT ?"  # noqa: S608
        return [VolumeRecord(*row) for row in self._asked(query, (state, before, limit))]


def record_of(row: tuple[Any, ...]) -> ObjectRecord:
    """Return the record of a row."""
    return ObjectRecord._make((row[0], State(row[1]), *row[2:14], bool(row[14]), *row[15:]))
