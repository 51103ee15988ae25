"""The status of a gateway: measured in regular intervals, remembered for an hour, compared with the alarms' limits."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.board import Condition, living
from tarnhelm.gateway.fsm import TERMINAL
from tarnhelm.gateway.record import State

if TYPE_CHECKING:
    from tarnhelm.gateway.admin.settings import AlarmSettings
    from tarnhelm.gateway.board import Board, PartNote
    from tarnhelm.gateway.state.reading import StateReading, Tally

__all__ = ["Alarm", "Lags", "Sample", "Sampler", "Status", "alarms_of"]

Lags = Callable[[], Mapping[tuple[str, str], int]]
"""(topic, group) → records that the group has not committed; raises TarnhelmError where the broker is away."""

_SAMPLES: Final = 120
_SHARE: Final = 20
_LEAST_FINISHED: Final = 100


@dataclass(frozen=True, slots=True)
class Sample:
    """One point of the charts; rates are per second since the point before.

    Attributes
    ----------
    unfinished
        Objects on their road.
    lag
        Records of all topics.
    """

    taken: float
    accepted: float = 0.0
    finished: float = 0.0
    bytes: float = 0.0
    unfinished: int = 0
    lag: int = 0


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that somebody should look at.

    Attributes
    ----------
    name
        ``age``, ``breaker``, ``lag``, ``quarantine``, ``destination``, ``silent``, ``down``, ``broker``.
    subject
        Topic or part; empty for the whole.
    value, limit
        Measured and allowed; both 0 where it is no question of numbers.
    """

    name: str
    subject: str = ""
    value: float = 0.0
    limit: float = 0.0


@dataclass(frozen=True, slots=True)
class Status:
    """One measurement."""

    measured: float
    tallies: tuple[Tally, ...] = ()
    lags: tuple[tuple[str, str, int], ...] = ()
    parts: tuple[PartNote, ...] = ()
    samples: tuple[Sample, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    sample_seconds: float = 0.0


class Sampler:
    """Measures in a thread of its own, so that a page costs the state nothing.

    Parameters
    ----------
    lags
        Asks the broker.
    """

    def __init__(
        self,
        reading: StateReading,
        board: Board,
        lags: Lags,
        alarms: AlarmSettings,
        clock: Callable[[], float],
        sample_seconds: float,
    ) -> None:
        self._reading = reading
        self._board = board
        self._lags = lags
        self._alarms = alarms
        self._clock = clock
        self._seconds = sample_seconds
        self._samples: deque[Sample] = deque(maxlen=_SAMPLES)
        self._before: tuple[float, int, int, int] | None = None
        self._status = Status(0.0)

    @property
    def status(self) -> Status:
        """The last measurement."""
        return self._status

    def remember(self, sample: Sample) -> None:
        """Put a point of an earlier time into the charts."""
        self._samples.append(sample)

    def measure(self) -> Status:
        """Measure now; raises TarnhelmError where the state or the board cannot be read."""
        now = self._clock()
        tallies = tuple(self._reading.tally())
        self._board.sweep(now - self._alarms.forget_seconds)
        parts = tuple(living(self._board.notes(), now, self._alarms.silence_seconds))
        try:
            lags = tuple((topic, group, count) for (topic, group), count in sorted(self._lags().items()))
            broker = ""
        except TarnhelmError as error:
            lags, broker = (), error.code
        sample = self._sample(now, tallies, sum(count for _, _, count in lags))
        if sample is not None:
            self._samples.append(sample)
        alarms = alarms_of(now, tallies, lags, parts, self._alarms)
        if broker:
            alarms = (Alarm("broker", broker), *alarms)
        status = Status(now, tallies, lags, parts, tuple(self._samples), alarms, self._seconds)
        self._status = status
        return status

    def run(self, stop: threading.Event) -> None:
        """Measure until ``stop``; what cannot be measured is measured again later.

        Counting a large state takes its time: measuring never takes more than a twentieth of the time.
        """
        wait = 0.0
        while not stop.wait(wait):
            begun = time.monotonic()
            with contextlib.suppress(TarnhelmError):  # the last status stays, and the page tells its age
                self.measure()
            wait = max(self._seconds, _SHARE * (time.monotonic() - begun))

    def _sample(self, now: float, tallies: Sequence[Tally], lag: int) -> Sample | None:
        """Return a point; None the first time, when there is nothing to compare with."""
        known = sum(one.objects for one in tallies)
        finished = sum(one.objects for one in tallies if one.state in TERMINAL)
        size = sum(one.bytes for one in tallies if one.state in TERMINAL)
        before, self._before = self._before, (now, known, finished, size)
        if before is None or now <= before[0]:
            return None
        seconds = now - before[0]
        # A retry takes an object back out of the finished ones; a rate below nothing would say nothing.
        return Sample(
            now,
            max(known - before[1], 0) / seconds,
            max(finished - before[2], 0) / seconds,
            max(size - before[3], 0) / seconds,
            known - finished,
            lag,
        )


def alarms_of(
    now: float,
    tallies: Sequence[Tally],
    lags: Sequence[tuple[str, str, int]],
    parts: Sequence[PartNote],
    limits: AlarmSettings,
) -> tuple[Alarm, ...]:
    """Compare a measurement with the limits."""
    found: list[Alarm] = []
    oldest = min((one.oldest for one in tallies if one.state not in TERMINAL and one.oldest > 0), default=now)
    if now - oldest > limits.age_seconds:
        found.append(Alarm("age", "", now - oldest, limits.age_seconds))
    found += [
        Alarm("lag", topic, float(count), float(limits.lag_records))
        for topic, _, count in lags
        if count > limits.lag_records
    ]
    finished = sum(one.objects for one in tallies if one.state in TERMINAL)
    held = sum(one.objects for one in tallies if one.state is State.QUARANTINED)
    if finished >= _LEAST_FINISHED and held / finished > limits.quarantine_share:
        found.append(Alarm("quarantine", "", held / finished, limits.quarantine_share))
    for part in parts:
        subject = f"{part.kind} {part.name}"
        if now - part.said > limits.silence_seconds:
            found.append(Alarm("silent", subject, now - part.said, limits.silence_seconds))
        elif part.kind == "destination" and part.condition in (Condition.OPEN, Condition.DOWN):
            found.append(Alarm("destination", part.name))
        elif part.condition is Condition.OPEN:
            found.append(Alarm("breaker", subject))
        elif part.condition is Condition.DOWN:
            found.append(Alarm("down", subject))
    return tuple(found)
