"""Objects and callers for tests of the doors."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, build_context
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification

from tarnhelm.gateway.doors.dicom import DicomDoor
from tarnhelm.gateway.doors.dicom_settings import DicomDoorSettings, DicomTitle

PATIENT = "ZWETSCHGE"
"""Stands in the patient's name of each object: no log may hold it."""


def image(
    number: int, *, sop_class: str = CTImageStorage, syntax: str = ExplicitVRLittleEndian, rows: int = 8
) -> Dataset:
    data_set = Dataset()
    data_set.preamble = bytes(128)
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = syntax
    data_set.file_meta.MediaStorageSOPClassUID = sop_class
    data_set.file_meta.MediaStorageSOPInstanceUID = instance(number)
    data_set.SOPClassUID = sop_class
    data_set.SOPInstanceUID = instance(number)
    data_set.Modality = "CT"
    data_set.PatientName = f"{PATIENT}^Anna"
    data_set.PatientID = "4711"
    data_set.StudyInstanceUID = "1.2.826.1"
    data_set.SeriesInstanceUID = "1.2.826.1.1"
    data_set.SamplesPerPixel = 1
    data_set.PhotometricInterpretation = "MONOCHROME2"
    data_set.Rows = data_set.Columns = rows
    data_set.BitsAllocated = data_set.BitsStored = 16
    data_set.HighBit = 15
    data_set.PixelRepresentation = 0
    data_set.PixelData = (number.to_bytes(2, "little") * (rows * rows))[: rows * rows * 2]
    return data_set


def instance(number: int) -> str:
    return f"1.2.826.9.{number + 1}"


def write_image(path: Path, number: int, **keywords: Any) -> bytes:
    image(number, **keywords).save_as(path, enforce_file_format=True)
    return path.read_bytes()


@contextlib.contextmanager
def open_door(
    admitter: Any,
    *,
    titles: Mapping[str, DicomTitle] | None = None,
    instances: Any = None,
    log: Any = None,
    **settings: Any,
) -> Iterator[DicomDoor]:
    given = {"listen": "127.0.0.1:0", "drain_seconds": 10.0, **settings}
    door = DicomDoor(
        DicomDoorSettings(titles=titles or {"TARNHELM": DicomTitle("project-a")}, **given),
        admitter,
        instances=instances,
        log=log,
    )
    door.start()
    try:
        yield door
    finally:
        door.close()


@contextlib.contextmanager
def association(door: DicomDoor, *contexts: Any, called: str = "TARNHELM", calling: str = "SCANNER", **keywords: Any):
    entity = AE(ae_title=calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = 30
    entity.requested_contexts = list(contexts or [build_context(CTImageStorage, ExplicitVRLittleEndian)])
    found = entity.associate("127.0.0.1", door.port, ae_title=called, **keywords)
    try:
        yield found
    finally:
        if found.is_established:
            found.release()
        if found.is_alive():
            found.join(10)
        entity.shutdown()


def associate_pdu(contexts: Any, *, called: str = "TARNHELM", calling: str = "SCANNER", longest: int = 16_384) -> bytes:
    request = A_ASSOCIATE()
    request.application_context_name = "1.2.840.10008.3.1.1.1"
    request.called_ae_title, request.calling_ae_title = called, calling
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    request.presentation_context_definition_list = list(contexts)
    bound, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    bound.maximum_length_received = longest
    implementation.implementation_class_uid = "1.2.3"
    request.user_information = [bound, implementation]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(request)
    return pdu.encode()


def rejection_of(door: DicomDoor, *, tls: ssl.SSLContext | None = None, **titles: str) -> tuple[int, int, int]:
    """Ask for an association; result, source and reason of the rejection.

    Not with pynetdicom's caller: it reports a rejection that comes before it has looked at its socket as an abort.
    """
    with RawCaller(door.port, associate=False) as caller:
        if tls is not None:
            caller.socket = tls.wrap_socket(caller.socket, server_hostname="127.0.0.1")
        caller.socket.sendall(associate_pdu([build_context(CTImageStorage, ExplicitVRLittleEndian)], **titles))
        kind, field = caller.pdu()
        assert kind == 3
        return field[1], field[2], field[3]


class RawCaller:
    """A caller that says exactly the bytes it is told, over an association of one CT context (identifier 1)."""

    def __init__(self, port: int, syntax: str = ExplicitVRLittleEndian, *, associate: bool = True) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        if associate:
            self.socket.sendall(associate_pdu([build_context(CTImageStorage, syntax)]))
            assert self.pdu()[0] == 2

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def pdu(self) -> tuple[int, bytes]:
        """Return kind and field of what comes next; kind 0 where the connection has ended."""
        try:
            head = self._exactly(6)
            kind, length = struct.unpack(">BxI", head)
            return kind, self._exactly(length)
        except (EOFError, ConnectionError):
            return 0, b""

    def command(self, sop_class: str = CTImageStorage, sop_instance: str = "1.2.826.9.1") -> None:
        self.fragment(store_command(sop_class, sop_instance), control=3)

    def fragment(self, data: bytes, *, control: int) -> None:
        self.socket.sendall(struct.pack(">BxIIBB", 4, len(data) + 6, len(data) + 2, 1, control) + data)

    def status(self) -> int:
        """Return the status of the response that comes next."""
        kind, field = self.pdu()
        assert kind == 4
        return elements(field[6:])[0x0900]

    def _exactly(self, count: int) -> bytes:
        whole = bytearray()
        while len(whole) < count:
            piece = self.socket.recv(count - len(whole))
            if not piece:
                raise EOFError
            whole += piece
        return bytes(whole)


def store_command(sop_class: str, sop_instance: str) -> bytes:
    values = {
        0x0002: sop_class.encode() + b"\x00" * (len(sop_class) % 2),
        0x0100: b"\x01\x00",
        0x0110: b"\x07\x00",
        0x0700: b"\x00\x00",
        0x0800: b"\x01\x00",
        0x1000: sop_instance.encode() + b"\x00" * (len(sop_instance) % 2),
    }
    body = b"".join(struct.pack("<HHI", 0, tag, len(value)) + value for tag, value in values.items())
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def elements(command: bytes) -> dict[int, int]:
    found, position = {}, 0
    while position < len(command):
        _, element, length = struct.unpack_from("<HHI", command, position)
        found[element] = int.from_bytes(command[position + 8 : position + 8 + min(length, 4)], "little")
        position += 8 + length
    return found
