"""The pump of volumes: a message names a volume, its members go through the stage, then the volume is done."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.state import StaleRecordError
from tarnhelm.gateway.stream import road
from tarnhelm.gateway.stream.assembling import waiting_members
from tarnhelm.gateway.stream.conveyor import Handled
from tarnhelm.gateway.stream.pump import Pump

if TYPE_CHECKING:
    from tarnhelm.gateway.broker import Message

__all__ = ["VolumePump"]


class VolumePump(Pump):
    """A :class:`~tarnhelm.gateway.stream.pump.Pump` whose messages name volumes."""

    def handle(self, message: Message, probe: bool = False) -> Handled:
        """Take a volume through the stage; a member that is parked or held does not stop the others."""
        try:
            task = road.read_task(message.value)
        except TarnhelmError as error:
            return self._bury(message, error.code, probe=probe)
        try:
            volume = self._state.volume(task.object_id)
            members = waiting_members(self._state, task.object_id)
        except TarnhelmError as error:
            return self._away(error.code, "", probe=probe)
        for record in members:
            if volume is None or volume.state == "open":
                break  # another one came: the volume closes again, with a message of its own
            if self.object(message, record.object_id, probe=probe) is Handled.HELD:
                return Handled.HELD
            probe = False
        else:
            if volume is not None and volume.state == "closed":
                with suppress(StaleRecordError), self._state.together():
                    self._state.put_volume(volume.stepped(state="done"), volume)
        if probe:
            self._breaker.not_now()
        return Handled.DONE
