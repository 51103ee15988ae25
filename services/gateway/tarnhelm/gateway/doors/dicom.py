"""The DICOM door: C-ECHO, C-STORE and storage commitment as a provider, on one port."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from contextlib import suppress

from tarnhelm.common import errors, events
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.events import EventLog
from tarnhelm.gateway.doors.dicom_association import Association
from tarnhelm.gateway.doors.dicom_commitment import AcceptedInstances, Report, ReportSender
from tarnhelm.gateway.doors.dicom_messages import Status
from tarnhelm.gateway.doors.dicom_negotiation import Proposal, Rejection, quiet_libraries
from tarnhelm.gateway.doors.dicom_settings import DicomDoorSettings, DicomTitle
from tarnhelm.gateway.doors.dicom_store import Answer
from tarnhelm.gateway.doors.metrics import DoorMetrics
from tarnhelm.gateway.doors.tls import server_context
from tarnhelm.gateway.intake import Admitter

__all__ = ["DicomDoor"]

_ACCEPT_SECONDS = 0.5


class DicomDoor:
    """Listens for associations; a thread for each.

    Parameters
    ----------
    instances
        Answers storage commitment; None: its presentation contexts are refused.
    log
        Events; addresses of callers stand in it, titles and UIDs do not.

    Raises
    ------
    TarnhelmError
        DOR-010 where the certificates cannot be loaded.
    """

    def __init__(
        self,
        settings: DicomDoorSettings,
        admitter: Admitter,
        *,
        instances: AcceptedInstances | None = None,
        metrics: DoorMetrics | None = None,
        log: EventLog | None = None,
    ) -> None:
        self.settings = settings
        self.admitter = admitter
        self.instances = instances
        self.reports = ReportSender(settings, self.report_lost)
        self._metrics = metrics or DoorMetrics()
        self._log = log or EventLog(None, time.time)
        self._tls = server_context(settings.tls_certificate_file, settings.tls_key_file, settings.client_ca_file)
        self._lock = threading.Lock()
        self._live: dict[Association, threading.Thread] = {}
        self._stop = threading.Event()
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        quiet_libraries()

    @property
    def port(self) -> int:
        """The port that is listened on, 0 before the start."""
        return int(self._listener.getsockname()[1]) if self._listener is not None else 0

    def start(self) -> None:
        """Open the port; raises DOR-010 where it cannot be taken."""
        host, _, port = self.settings.listen.rpartition(":")
        host = host.strip("[]")
        try:
            family, kind, number, _, where = socket.getaddrinfo(
                host or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = socket.socket(family, kind, number)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(where)
                listener.listen(128)
                listener.settimeout(_ACCEPT_SECONDS)
            except OSError:
                listener.close()
                raise
        except (OSError, ValueError):
            raise TarnhelmError(errors.DOOR_SHUT) from None
        self._listener = listener
        self._acceptor = threading.Thread(target=self._accept, args=(listener,), name="dicom-door", daemon=True)
        self._acceptor.start()
        self._log(events.DOOR_OPENED, door=self.settings.name, port=self.port)

    def close(self) -> None:
        """Take no more associations, end the idle ones, let messages in hand end within ``drain_seconds``."""
        self._stop.set()
        if self._acceptor is None:
            return
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
            self._acceptor.join()
            self._listener.close()
        deadline = time.monotonic() + self.settings.drain_seconds
        for at_once in (False, True):
            for association in self._associations():
                association.close(at_once=at_once)
            with self._lock:
                threads = list(self._live.values())
            for thread in threads:
                thread.join(max(deadline - time.monotonic(), 0) if not at_once else 10.0)
        self.reports.close()
        self._log(events.DOOR_CLOSED, door=self.settings.name)

    def run(self, stop: threading.Event) -> None:
        """Serve until ``stop`` is set; raises DOR-009 where the listening thread ended before."""
        self.start()
        try:
            while not stop.wait(1.0):
                if self._acceptor is None or not self._acceptor.is_alive():
                    raise TarnhelmError(errors.DOOR_FAULT)
        finally:
            self.close()

    def admit(self, association: Association, proposal: Proposal, names: frozenset[str]) -> DicomTitle:
        """See :class:`~tarnhelm.gateway.doors.dicom_association.Host`."""
        title = self.settings.titles.get(proposal.called)
        if title is None:
            raise Rejection(1, 1, 7, errors.CALLER_UNKNOWN)
        if not self._knows(title, proposal.calling, association.address, names):
            raise Rejection(1, 1, 3, errors.CALLER_UNKNOWN)
        if not proposal.only_verification and self._full():
            raise Rejection(2, 3, 1, errors.DOOR_FULL)
        with self._lock:
            callers = [other.caller for other in self._live if other.caller]
            if (
                len(callers) >= self.settings.max_associations
                or callers.count(proposal.calling) >= self.settings.max_associations_per_caller
            ):
                raise Rejection(2, 3, 2, errors.CALLERS_TOO_MANY)
            association.caller, association.called = proposal.calling, proposal.called
        return title

    def stored(self, answer: Answer, size: int) -> None:
        """See :class:`~tarnhelm.gateway.doors.dicom_association.Host`."""
        name = self.settings.name
        self._metrics.taken(name, answer.reception.value, size)
        if answer.status is not Status.SUCCESS:
            self._metrics.refused.labels(name, answer.code).inc()
            self._log(events.OBJECT_NOT_TAKEN, door=name, code=answer.code, status=f"{answer.status:04X}")

    def committed(self, report: Report) -> None:
        """See :class:`~tarnhelm.gateway.doors.dicom_association.Host`."""
        here = len(report.data_set.get("ReferencedSOPSequence") or ())
        missing = len(report.data_set.get("FailedSOPSequence") or ())
        self._log(events.COMMITMENT_ANSWERED, door=self.settings.name, instances=here + missing, missing=missing)

    def report_lost(self) -> None:
        """See :class:`~tarnhelm.gateway.doors.dicom_association.Host`."""
        self._metrics.refused.labels(self.settings.name, errors.CALLER_LEFT.code).inc()
        self._log(events.COMMITMENT_LOST, door=self.settings.name, code=errors.CALLER_LEFT.code)

    def _full(self) -> bool:
        try:
            return self.admitter.room() > 0
        except Exception:  # noqa: BLE001 - where nobody can tell, there is no room
            return True

    def _knows(self, title: DicomTitle, calling: str, address: str, names: frozenset[str]) -> bool:
        if (title.callers or not self.settings.loopback) and calling not in title.callers:
            return False
        if title.caller_networks:
            peer = ipaddress.ip_address(address)
            peer = getattr(peer, "ipv4_mapped", None) or peer
            if not any(peer in ipaddress.ip_network(network) for network in title.caller_networks):
                return False
        return not title.certificate_names or not names.isdisjoint(title.certificate_names)

    def _accept(self, listener: socket.socket) -> None:
        while not self._stop.is_set():
            try:
                connection, where = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                # Out of file descriptors, or the caller went before it was taken: others may still come.
                self._stop.wait(0.1)
                continue
            address = str(where[0]).partition("%")[0]
            if not self._seat(address):
                connection.close()
                self._refused(address, errors.CALLERS_TOO_MANY.code)
                continue
            association = Association(connection, address, self)
            thread = threading.Thread(target=self._serve, args=(association,), name="association", daemon=True)
            with self._lock:
                self._live[association] = thread
            try:
                thread.start()
            except RuntimeError:
                with self._lock:
                    del self._live[association]
                connection.close()

    def _seat(self, address: str) -> bool:
        """Whether one more connection is taken: twice the associations, so that a rejection can still be told."""
        with self._lock:
            same = sum(association.address == address for association in self._live)
            return (
                len(self._live) < 2 * self.settings.max_associations
                and same < self.settings.max_connections_per_address
            )

    def _serve(self, association: Association) -> None:
        began = time.monotonic()
        callers = self._metrics.callers.labels(self.settings.name)
        callers.inc()
        try:
            code = association.run(self._tls)
        finally:
            callers.dec()
            with self._lock:
                self._live.pop(association, None)
        if not association.caller:
            if code:
                self._refused(association.address, code)
            return
        if code:
            self._metrics.refused.labels(self.settings.name, code).inc()
        self._log(
            events.ASSOCIATION_ENDED,
            door=self.settings.name,
            address=association.address,
            code=code,
            objects=association.objects,
            refused=association.refused,
            seconds=int(time.monotonic() - began),
        )

    def _refused(self, address: str, code: str) -> None:
        self._metrics.refused.labels(self.settings.name, code).inc()
        self._log(events.CALLER_REFUSED, door=self.settings.name, address=address, code=code)

    def _associations(self) -> list[Association]:
        with self._lock:
            return list(self._live)
