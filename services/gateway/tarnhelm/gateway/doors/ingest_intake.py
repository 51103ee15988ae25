"""One record of the topic ``ingest``: who sent it, what it says, and its payload into admission."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.broker.trace import trace_of
from tarnhelm.gateway.doors.reassembly import Progress, Transfer
from tarnhelm.gateway.doors.references import checked
from tarnhelm.gateway.ingest.records import Chunk, Inline, Reference, read_record
from tarnhelm.gateway.ingest.sealing import OpeningKeys, binding_of
from tarnhelm.gateway.ingest.signing import Producers
from tarnhelm.gateway.intake import Arrival, Reception

if TYPE_CHECKING:
    from tarnhelm.common.limits import Limits
    from tarnhelm.gateway.broker.base import Message
    from tarnhelm.gateway.broker.trace import TraceContext
    from tarnhelm.gateway.doors.ingest_settings import IngestDoorSettings
    from tarnhelm.gateway.doors.reassembly import Reassembly, Standing
    from tarnhelm.gateway.doors.references import References
    from tarnhelm.gateway.ingest.records import Letter
    from tarnhelm.gateway.ingest.signing import KnownProducer
    from tarnhelm.gateway.intake import Admitter
    from tarnhelm.gateway.keys import GatewayKeys

__all__ = ["CHUNK_KEPT", "IngestIntake", "RefusedError"]

CHUNK_KEPT: Final = "chunk-kept"
"""What became of a chunk whose object is not complete yet, or was completed before."""
_PREFACE: Final = 132
_DICM: Final = b"DICM"


class RefusedError(TarnhelmError):
    """A record, or an object in chunks, that becomes a dead letter.

    Attributes
    ----------
    producer
        Name of the producer, as far as it is known.
    transfer
        The object in chunks that is to be given up with it.
    waits_until
        Of a reference whose server is away: when it expires, in seconds since 1970; 0: no reference.
    """

    def __init__(self, error: TarnhelmError, producer: str, transfer: Transfer | None, waits_until: float) -> None:
        self.producer = producer
        self.transfer = transfer
        self.waits_until = waits_until
        super().__init__(error.kind, **error.facts)


@dataclass(frozen=True, slots=True)
class _Sender:
    """Whose record it is: the project that it is bound to, the producer's name and the number of its key."""

    project: str
    producer: str = ""
    signer: str = ""


class IngestIntake:
    """Takes records in, one at a time for each thread; safe among threads.

    Raises
    ------
    TarnhelmError
        ING-001: a key file cannot be used.
    """

    def __init__(
        self,
        settings: IngestDoorSettings,
        admitter: Admitter,
        reassembly: Reassembly,
        references: References,
        keys: GatewayKeys,
        limits: Limits,
    ) -> None:
        self._settings = settings
        self._admitter = admitter
        self._reassembly = reassembly
        self._references = references
        self._keys = keys
        self._limits = limits
        self._producers = Producers((one.name, one.project, one.public_key_file) for one in settings.producers)
        self._opening = OpeningKeys(settings.opening_key_files)

    def take(self, message: Message) -> str:
        """Take one record in; returns what became of it, a word for the metrics.

        Raises
        ------
        RefusedError
            Its disposition decides: RETRY, and the record comes again later; else it becomes a dead letter.
        """
        sender = _Sender("")
        transfer: Transfer | None = None
        expires = 0.0
        try:
            signed_by = self._producers.signer_of(message.topic, message.value, message.headers)
            sender = self._sender(signed_by)
            letter = read_record(message.value, self._limits)
            self._check(letter, sender)
            payload = letter.payload
            if isinstance(payload, Chunk):
                transfer = self._transfer(letter, payload, sender)
                return self._take_chunk(transfer, payload, trace_of(message.headers))
            if isinstance(payload, Reference):
                expires = payload.expires
                pieces: Iterator[bytes] = self._references.pieces(payload)
                size = payload.size
            else:
                pieces, size = _inline(payload), len(payload.data)
            opened = self._opened(pieces, sender, letter.record_id, letter.sealed_to)
            arrival = self._arrival(sender, -1 if letter.sealed_to else size, trace_of(message.headers))
            return self._admit(opened, arrival, is_dicom=letter.is_dicom)
        except TarnhelmError as error:
            raise RefusedError(error, sender.producer, transfer, expires) from None

    def finish(self, standing: Standing) -> str:
        """Take in an object whose chunks are all there.

        Raises
        ------
        RefusedError
            As in :meth:`take`.
        """
        try:
            return self._assemble(standing.transfer, None)
        except TarnhelmError as error:
            raise RefusedError(error, standing.transfer.producer, standing.transfer, 0.0) from None

    # --- whose it is ---------------------------------------------------------------------------------------

    def _sender(self, producer: KnownProducer | None) -> _Sender:
        if producer is not None:
            return _Sender(producer.project, producer.name, producer.key_id)
        if not self._settings.project:
            raise TarnhelmError(errors.RECORD_NOT_SIGNED)
        return _Sender(self._settings.project)

    def _check(self, letter: Letter, sender: _Sender) -> None:
        if letter.project and letter.project != sender.project:
            raise TarnhelmError(errors.RECORD_OTHER_PROJECT)
        if not letter.sealed_to and not self._settings.unsealed_allowed:
            raise TarnhelmError(errors.RECORD_NOT_SEALED)
        if letter.sealed_to and letter.sealed_to not in self._opening:
            raise TarnhelmError(errors.SEAL_KEY_UNKNOWN)

    def _arrival(self, sender: _Sender, size: int, trace: TraceContext | None) -> Arrival:
        return Arrival(sender.project, self._settings.name, size=size, trace=trace)

    # --- chunks --------------------------------------------------------------------------------------------

    def _transfer(self, letter: Letter, chunk: Chunk, sender: _Sender) -> Transfer:
        record_id = letter.record_id.hex()
        described = (self._settings.topic, sender.signer, record_id, letter.sealed_to, str(letter.is_dicom))
        name = self._keys.source_digest(sender.project, "\x00".join(described), chunk.total_size, chunk.count).hex()
        return Transfer(
            name,
            sender.project,
            sender.producer,
            sender.signer,
            record_id,
            chunk.count,
            chunk.total_size,
            letter.is_dicom,
            letter.sealed_to,
        )

    def _take_chunk(self, transfer: Transfer, chunk: Chunk, trace: TraceContext | None) -> str:
        if self._reassembly.take(transfer, chunk) is not Progress.COMPLETE:
            return CHUNK_KEPT
        return self._assemble(transfer, trace)

    def _assemble(self, transfer: Transfer, trace: TraceContext | None) -> str:
        if not self._reassembly.claim(transfer):
            return CHUNK_KEPT
        try:
            return self._admit_whole(transfer, trace)
        except TarnhelmError as error:
            if error.code != errors.BLOB_MISSING.code:
                raise
            self._reassembly.forget(transfer)
            if self._reassembly.ended(transfer):  # another replica was faster
                return CHUNK_KEPT
            raise TarnhelmError(errors.CHUNKS_MISSING, seen=0, limit=transfer.count) from None
        finally:
            self._reassembly.unclaim(transfer)

    def _admit_whole(self, transfer: Transfer, trace: TraceContext | None) -> str:
        sender = _Sender(transfer.project, transfer.producer, transfer.signer)
        pieces = checked(self._reassembly.pieces(transfer), transfer.total_size, self._reassembly.sha256(transfer))
        opened = self._opened(pieces, sender, bytes.fromhex(transfer.record_id), transfer.sealed_to)
        arrival = self._arrival(sender, -1 if transfer.sealed_to else transfer.total_size, trace)
        outcome = self._admit(opened, arrival, is_dicom=transfer.is_dicom)
        self._reassembly.end(transfer)
        return outcome

    # --- the payload ---------------------------------------------------------------------------------------

    def _opened(self, pieces: Iterator[bytes], sender: _Sender, record_id: bytes, sealed_to: str) -> Iterator[bytes]:
        if not sealed_to:
            return pieces
        return self._opening.open(pieces, sealed_to, binding_of(self._settings.topic, sender.signer, record_id))

    def _admit(self, pieces: Iterator[bytes], arrival: Arrival, *, is_dicom: bool) -> str:
        """Write all of it, then commit: what fails at its last byte was never accepted."""
        with closing(_of_kind(pieces, is_dicom=is_dicom)) as payload, self._admitter.begin(arrival) as intake:
            for piece in payload:
                intake.write(piece)
            receipt = intake.commit()
        if receipt.reception is Reception.REFUSED:
            raise TarnhelmError(errors.CATALOGUE.get(receipt.code, errors.RECORD_UNREADABLE))
        return str(receipt.reception)


def _inline(payload: Inline) -> Iterator[bytes]:
    return checked([payload.data], len(payload.data), payload.sha256)


def _of_kind(pieces: Iterable[bytes], *, is_dicom: bool) -> Generator[bytes, None, None]:
    """Pass bytes on; raises ING-016 where they should be a DICOM file and do not begin like one (PS3.10, 7.1)."""
    head = bytearray()
    for piece in pieces:
        if not is_dicom or len(head) >= _PREFACE:
            yield piece
            continue
        head += piece
        if len(head) >= _PREFACE:
            if head[128:132] != _DICM:
                break
            yield bytes(head)
    if is_dicom and head[128:132] != _DICM:
        raise TarnhelmError(errors.PAYLOAD_OTHER_KIND)
