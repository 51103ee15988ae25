"""The roles of the pumps: one stage each, and the witness."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.tickets import TicketIssuer
from tarnhelm.gateway.board import Condition, PartNote
from tarnhelm.gateway.config.parts import public_key
from tarnhelm.gateway.fsm import Lifecycle
from tarnhelm.gateway.keys import ticket_key
from tarnhelm.gateway.roles.base import RoleContext, announcing
from tarnhelm.gateway.stages.remote_judge import RemoteJudge
from tarnhelm.gateway.stages.remote_stage import RemoteStage
from tarnhelm.gateway.stream.meters import StreamMeters
from tarnhelm.gateway.stream.publishing import Publisher
from tarnhelm.gateway.stream.pump import Pump, PumpSettings
from tarnhelm.gateway.stream.staging import StageWork
from tarnhelm.gateway.stream.witnessing import WitnessWork
from tarnhelm.gateway.verdict import VerdictCheck

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from tarnhelm.gateway.stages.remote_channel import RemoteSettings
    from tarnhelm.gateway.stages.stage_calls import JudgeClient, StageClient
    from tarnhelm.gateway.stream.settling import Work

__all__ = ["run_metadata", "run_witness"]


def run_metadata(context: RoleContext, stop: threading.Event) -> None:
    """Pump objects through the metadata service."""
    shared = context.shared
    client: StageClient = RemoteStage("metadata", _address(context.config.services.metadata))
    tickets = TicketIssuer(ticket_key(context.config.key_folder / "ticket.pem"))
    life = Lifecycle(lambda _verdict: False)  # decides nothing about verdicts
    try:
        work = StageWork(client, shared.state, shared.blobs, shared.keys, life, tickets=tickets)
        _pump(context, work, life, stop)
    finally:
        client.close()


def run_witness(context: RoleContext, stop: threading.Event) -> None:
    """Pump results before the witness."""
    shared, config = context.shared, context.config
    client: JudgeClient = RemoteJudge(_address(config.services.witness))
    files = config.keys.witness_public_files or (config.key_folder / "witness.pub.pem",)
    life = Lifecycle(VerdictCheck(public_key(path) for path in files))
    try:
        _pump(context, WitnessWork(client, shared.state, shared.blobs, life, context.log), life, stop)
    finally:
        client.close()


def _pump(context: RoleContext, work: Work, life: Lifecycle, stop: threading.Event) -> None:
    shared = context.shared
    pump = Pump(
        work,
        PumpSettings(),
        shared.state,
        shared.broker,
        Publisher(shared.broker, context.log),
        life,
        context.log,
        meters=StreamMeters(context.registry),
    )

    def notes() -> Iterator[PartNote]:
        condition = Condition.OPEN if pump.breaker.open else Condition.OK
        yield PartNote("stage", work.step, context.instance, Condition.DRAINING if stop.is_set() else condition)

    with announcing(context, notes):
        pump.run(stop)


def _address(settings: RemoteSettings | None) -> RemoteSettings:
    if settings is None:
        raise TarnhelmError(errors.CONFIG_REFERENCE)
    return settings
