"""Watches how many subjects are asked for: assigning is a forward oracle, and guessing shows as many subjects.

A pod that was taken over holds real tickets, and could spend each on a guess instead of on the object it is for. Then
nearly every question names a new subject, while a hospital's objects come by the series. So distinct subjects of the
last hour are bounded, and compared with the objects that were asked for. Whoever is asked for is counted before he is
looked up: the withdrawn and those who are not on a list are guesses too.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import ASSIGN_QUOTA, TarnhelmError
from tarnhelm.common.events import event_kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from tarnhelm.common.events import EventLog

__all__ = ["ASSIGN_ALARM", "QuotaSettings", "SubjectQuota"]

ASSIGN_ALARM = event_kind(310, "assign-alarm", "project", "reason", "subjects", "objects")

_HOUR: Final = 3600.0
_SLICE: Final = 60.0
_BETWEEN_ALARMS: Final = 600.0


@dataclass(frozen=True, slots=True)
class QuotaSettings:
    """Bounds of one replica and project.

    Attributes
    ----------
    subjects_per_hour
        Distinct subjects; more are refused (LNK-043) until the hour has moved on.
    alarm_share
        An alarm is raised where more than this share of the objects of an hour named a subject of its own.
    alarm_objects
        Objects of an hour before the share means anything.
    """

    subjects_per_hour: int = 20_000
    alarm_share: float = 0.9
    alarm_objects: int = 200


class SubjectQuota:
    """Counts for one project. One thread counts; others may look at :attr:`subjects`.

    Memory is bounded by the quota: subjects are kept as keyed digests, objects as a number for each minute.

    Parameters
    ----------
    project
        Opaque id, for the alarm.
    settings
        Bounds.
    events
        Takes the alarms.
    monotonic
        Gives seconds that never go back.
    """

    def __init__(
        self,
        project: str,
        settings: QuotaSettings,
        events: EventLog,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._project = project
        self._settings = settings
        self._events = events
        self._monotonic = monotonic
        self._subjects: OrderedDict[bytes, float] = OrderedDict()
        self._minutes: deque[list[float]] = deque()  # each [when it began, objects]
        self._objects = 0
        self._alarmed: dict[str, float] = {}

    @property
    def subjects(self) -> int:
        """Distinct subjects of the last hour, as of the last question."""
        return len(self._subjects)

    def admit(self, subject: bytes) -> None:
        """Count one question before it is answered; LNK-043 where its subject is one too many.

        Parameters
        ----------
        subject
            Names the subject as the object does, keyed; empty for an object that names none.
        """
        now = self._monotonic()
        self._forget(now - _HOUR)
        if subject and subject not in self._subjects and len(self._subjects) >= self._settings.subjects_per_hour:
            self.alarm("quota")
            raise TarnhelmError(ASSIGN_QUOTA, limit=self._settings.subjects_per_hour)
        if subject:
            self._subjects[subject] = now
            self._subjects.move_to_end(subject)
        if not self._minutes or now - self._minutes[-1][0] >= _SLICE:
            self._minutes.append([now, 0])
        self._minutes[-1][1] += 1
        self._objects += 1
        if (
            self._objects >= self._settings.alarm_objects
            and len(self._subjects) > self._settings.alarm_share * self._objects
        ):  # fmt: skip
            self.alarm("share")

    def alarm(self, reason: str) -> None:
        """Raise an alarm, at most one every ten minutes for a reason."""
        now = self._monotonic()
        if now - self._alarmed.get(reason, -_BETWEEN_ALARMS) >= _BETWEEN_ALARMS:
            self._alarmed[reason] = now
            self._events(
                ASSIGN_ALARM,
                project=self._project,
                reason=reason,
                subjects=len(self._subjects),
                objects=self._objects,
            )

    def _forget(self, before: float) -> None:
        while self._minutes and self._minutes[0][0] < before:
            self._objects -= int(self._minutes.popleft()[1])
        while self._subjects and next(iter(self._subjects.values())) < before:
            self._subjects.popitem(last=False)
