"""Objects through every door, again and again until the door says that it has them."""

from __future__ import annotations

import contextlib
import random
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field

import httpx
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.producer.sender import Sender, SenderSettings

PATIENCE_SECONDS = 600.0
TRANSFER_SYNTAX = "1.2.840.10008.1.2.1"


@dataclass
class Errand:
    """One sending of one object by one door."""

    path: object
    door: str


@dataclass
class Senders:
    """Threads that send errands, a few for each door.

    Attributes
    ----------
    accepted
        Errands that a door confirmed.
    pause
        Seconds between two errands of one thread.
    told
        (door, status) → how often a door said that it did not take an object, and with STOW-RS when to come again.
    """

    gateway: object
    broker: object = None
    pause: float = 0.0
    accepted: int = 0
    told: Counter = field(default_factory=Counter)
    failures: list = field(default_factory=list)

    def __post_init__(self):
        self._lock = threading.Lock()

    def run(self, errands, threads_each=2):
        """Send all; returns when every door has confirmed."""
        threads = []
        for door in sorted({errand.door for errand in errands}):
            queue = iter([errand for errand in errands if errand.door == door])
            threads += [threading.Thread(target=self._work, args=(door, queue)) for _ in range(threads_each)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not self.failures, self.failures[:3]

    def _work(self, door, queue):
        send = getattr(self, f"_by_{door}")
        state = {}
        while True:
            with self._lock:
                errand = next(queue, None)
            if errand is None:
                break
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not send(errand.path, state):
                if time.monotonic() > deadline:
                    self.failures.append((door, errand.path))
                    break
                time.sleep(0.1)
            with self._lock:
                self.accepted += 1
            time.sleep(self.pause)
        if association := state.get("association"):
            _let_go(association)
        if client := state.get("client"):
            client.close()

    def _by_dicom(self, path, state):
        association = state.get("association")
        if association is None or not association.is_established:
            if association is not None:
                _let_go(association)
            ae = AE("SENDER")
            ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
            ae.add_requested_context(CTImageStorage, TRANSFER_SYNTAX)
            association = state["association"] = ae.associate("127.0.0.1", self.gateway.dicom_port, ae_title="TRIAL")
            if not association.is_established:
                return False
        try:
            status = association.send_c_store(path)
        except (RuntimeError, ValueError):
            return False
        if "Status" not in status:
            return False
        if status.Status:
            self.told["dicom", status.Status] += 1
        return status.Status == 0x0000

    def _by_stow(self, path, state):
        client = state.setdefault("client", httpx.Client(timeout=30, trust_env=False))
        boundary = uuid.uuid4().hex
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        try:
            answer = client.post(
                f"http://127.0.0.1:{self.gateway.stow_port}/trial/studies",
                content=head + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode(),
                headers={
                    "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
                    "Accept": "application/dicom+json",
                },
            )
        except httpx.HTTPError:
            return False
        if answer.status_code != 200:
            self.told["stow", answer.status_code, "Retry-After" in answer.headers] += 1
        return answer.status_code == 200

    def _by_folder(self, path, state):
        del state
        inbox = self.gateway.inbox
        name = uuid.uuid4().hex
        part = inbox / f".{name}.part"
        part.write_bytes(path.read_bytes())
        part.rename(inbox / f"{name}.dcm")
        return True

    def _by_ingest(self, path, state):
        sender = state.setdefault("sender", Sender(self.broker, SenderSettings(payload_bytes=200_000)))
        try:
            sender.send([path.read_bytes()], path.stat().st_size).result(30)
        except TarnhelmError:
            return False
        return True


def _let_go(association):
    with contextlib.suppress(Exception):
        association.release() if association.is_established else association.abort()
    if association.is_alive():
        association.join(10)
    if association.dul.socket is not None:
        association.dul.socket.close()


def errands_of(paths, seed, most=3, only=None):
    """Each object one to ``most`` times, each time by a door of chance, shuffled."""
    rng = random.Random(seed)
    doors = ("dicom", "stow", "folder", "ingest")
    found = [
        Errand(path, rng.choice((only or {}).get(path, doors))) for path in paths for _ in range(rng.randint(1, most))
    ]
    rng.shuffle(found)
    return found
