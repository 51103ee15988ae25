"""``tarnhelm send PATH… --to TARGET``: objects onto the topic ``ingest`` of a gateway."""

from __future__ import annotations

import contextlib
import ipaddress
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.table import Table

from tarnhelm.cli.console import ExitCode, out, reports_errors, show_codes
from tarnhelm.cli.places import Places
from tarnhelm.cli.progress import FileProgress
from tarnhelm.common import errors
from tarnhelm.common.errors import Disposition, TarnhelmError
from tarnhelm.gateway.broker.topics import TopicSpec
from tarnhelm.gateway.sources import SourceWalk

if TYPE_CHECKING:
    from tarnhelm.gateway.broker import Broker
    from tarnhelm.gateway.producer.journal import SendJournal
    from tarnhelm.gateway.producer.sender import Sender, Sent
    from tarnhelm.gateway.sources import Source

__all__ = ["register"]

_HELP = """Send files, folders, zips and tars to a gateway by its topic.

What the broker has acknowledged is durable there; the gateway takes it in when it has room. Objects are sealed to the gateway's public key, so that nobody between can read them, the broker's administrators included; off this machine nothing is sent unsealed unless you say so.

[bold]Examples[/bold]

    tarnhelm send scans/ --to kafka://kafka-1:9093,kafka-2:9093/ingest --tls --ca-file ca.pem --seal-to gateway.pem
    tarnhelm send scans/ --to … --seal-to gateway.pem --sign-with ours.key   the gateway binds the key to a project
    tarnhelm send scans/ --to … --seal-to gateway.pem --resume               go on where the last run stopped
    tarnhelm send scans.zip --to folder:/var/lib/tarnhelm/broker             the embedded broker of this machine

[bold]Exit codes[/bold]

    0 all acknowledged · 1 some files could not be sent · 2 usage · 4 the broker is away (go on with --resume) · 130 interrupted
"""

_READ_BYTES: Final = 1 << 20
_MOST_WAITING: Final = 256
_WAIT_SECONDS: Final = 150.0
_FOLDER: Final = "folder:"
_KAFKA: Final = "kafka://"


@dataclass(frozen=True, slots=True)
class _Target:
    """Where to: a folder, or addresses of Apache Kafka; and the topic."""

    topic: str
    folder: Path | None = None
    addresses: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.folder.resolve() if self.folder else ','.join(sorted(self.addresses))}/{self.topic}"

    @property
    def is_here(self) -> bool:
        return all(_is_loopback(address) for address in self.addresses)


@dataclass(slots=True)
class _Counts:
    """What a run has done so far."""

    acknowledged: int = 0
    sent_bytes: int = 0
    passed_bytes: int = 0
    skipped: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def done(self) -> int:
        return self.acknowledged + self.skipped + self.failed.total()


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("send", help=_HELP)(send)


@reports_errors
def send(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Files, folders, zips, tars.", exists=True)],
    to: Annotated[
        str, typer.Option("--to", metavar="TARGET", help="kafka://HOST:PORT[,HOST:PORT]/TOPIC, or folder:FOLDER.")
    ],
    seal_to: Annotated[
        Path | None, typer.Option("--seal-to", metavar="PEM", help="The gateway's X25519 public key.")
    ] = None,
    unsealed: Annotated[bool, typer.Option("--unsealed", help="Send unsealed off this machine all the same.")] = False,
    sign_with: Annotated[
        Path | None, typer.Option("--sign-with", metavar="PEM", help="Our Ed25519 private key.")
    ] = None,
    project: Annotated[
        str, typer.Option("--project", metavar="ID", help="Have the gateway refuse them where it binds us to another.")
    ] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Pass over what was acknowledged before.")] = False,
    tls: Annotated[bool, typer.Option("--tls", help="Encrypt; needed off this machine.")] = False,
    ca_file: Annotated[Path | None, typer.Option("--ca-file", metavar="PEM", help="Who signs the brokers.")] = None,
    certificate_file: Annotated[
        Path | None, typer.Option("--certificate-file", metavar="PEM", help="Our certificate.")
    ] = None,
    key_file: Annotated[Path | None, typer.Option("--key-file", metavar="PEM", help="Its key.")] = None,
    sasl_user: Annotated[str, typer.Option("--sasl-user", metavar="NAME", help="Log in with a name.")] = "",
    sasl_password_file: Annotated[
        Path | None,
        typer.Option("--sasl-password-file", metavar="FILE", help="The password; never on the command line."),
    ] = None,
    sasl_mechanism: Annotated[
        str, typer.Option("--sasl-mechanism", help="SCRAM-SHA-512, SCRAM-SHA-256, or PLAIN with TLS.")
    ] = "SCRAM-SHA-512",
    plaintext_allowed: Annotated[
        bool, typer.Option("--allow-plaintext", help="Something else encrypts on the way, as a service mesh does.")
    ] = False,
) -> None:
    """Send; see the help text above."""
    target = _target(to)
    if seal_to is None and not unsealed and not target.is_here:
        raise TarnhelmError(errors.SEND_UNSEALED)
    if bool(sasl_user) != bool(sasl_password_file):
        raise TarnhelmError(errors.BROKER_SETTINGS)
    try:
        from tarnhelm.gateway.ingest.sealing import read_sealing_key  # noqa: PLC0415  # other commands need none of it
        from tarnhelm.gateway.ingest.signing import RecordSigner  # noqa: PLC0415
        from tarnhelm.gateway.producer.journal import SendJournal  # noqa: PLC0415
        from tarnhelm.gateway.producer.sender import Sender, SenderSettings  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != "google":
            raise
        raise TarnhelmError(errors.BROKER_EXTRA_MISSING) from None
    key = read_sealing_key(seal_to) if seal_to is not None else None
    signer = RecordSigner(sign_with) if sign_with is not None else None

    def broker() -> Broker:
        topics = (TopicSpec(target.topic, identified=True),)
        if target.folder is not None:
            from tarnhelm.gateway.broker.sqlite import SqliteBroker  # noqa: PLC0415

            return SqliteBroker(target.folder, topics)
        from tarnhelm.gateway.broker.kafka import KafkaBroker, KafkaSettings, Sasl  # noqa: PLC0415

        sasl = Sasl(sasl_user, sasl_password_file, sasl_mechanism) if sasl_password_file is not None else None
        settings = KafkaSettings(
            target.addresses,
            client_id="tarnhelm-send",
            tls=tls,
            ca_file=ca_file,
            certificate_file=certificate_file,
            key_file=key_file,
            sasl=sasl,
            plaintext_allowed=plaintext_allowed,
            gather_ms=5,
        )
        return KafkaBroker(settings, topics)

    counts = _Counts()
    begun = time.monotonic()
    with (
        SendJournal(Places.of_user().root / "send", target.name) as journal,
        contextlib.closing(broker()) as opened,
        tempfile.TemporaryDirectory(prefix="tarnhelm-send-") as unpacked,
    ):
        sender = Sender(opened, SenderSettings(target.topic, project), seal_to=key, signer=signer)
        walk = SourceWalk(tuple(paths), Path(unpacked))
        try:
            with SendProgress(*walk.count()) as progress:
                _Run(sender, journal, counts, progress).send_all(walk, resume=resume)
        finally:
            _show(counts, time.monotonic() - begun)
    if counts.failed:
        raise typer.Exit(ExitCode.HELD)


class _Run:
    """Sends one source after the other, and notes each when it is acknowledged."""

    def __init__(self, sender: Sender, journal: SendJournal, counts: _Counts, progress: SendProgress) -> None:
        self._sender = sender
        self._journal = journal
        self._counts = counts
        self._progress = progress
        self._waiting: deque[tuple[Sent, bytes]] = deque()

    def send_all(self, walk: SourceWalk, *, resume: bool) -> None:
        """Send all; raises BRK-… where the broker is away."""
        for source in walk:
            try:
                self._send(source, resume=resume)
            except TarnhelmError as error:
                if error.disposition in (Disposition.RETRY, Disposition.USAGE):
                    raise
                self._counts.failed[error.code] += 1
                self._counts.passed_bytes += source.size
            finally:
                if source.temporary:
                    source.path.unlink(missing_ok=True)
            self._note(all_of_them=False)
        self._note(all_of_them=True)

    def _send(self, source: Source, *, resume: bool) -> None:
        if source.error is not None:
            raise source.error
        entry = self._journal.digest_of(str(Path(source.place).absolute()), source.member, source.size, source.mtime_ns)
        if resume and entry in self._journal:
            self._counts.skipped += 1
            self._counts.passed_bytes += source.size
            return
        try:
            with source.path.open("rb") as stream, contextlib.closing(_pieces(stream.read)) as pieces:
                self._waiting.append((self._sender.send(pieces, source.size), entry))
        except OSError:
            raise TarnhelmError(errors.UNREADABLE) from None

    def _note(self, *, all_of_them: bool) -> None:
        while self._waiting and (all_of_them or self._waiting[0][0].done() or len(self._waiting) > _MOST_WAITING):
            sent, entry = self._waiting.popleft()
            sent.result(_WAIT_SECONDS)
            self._journal.add(entry)
            self._counts.acknowledged += 1
            self._counts.sent_bytes += sent.size
        self._progress(self._counts)


class SendProgress(FileProgress):
    """Shows what was sent so far."""

    def __init__(self, files: int, total_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__("sending", files, total_bytes, clock)

    def __call__(self, counts: _Counts) -> None:
        """Take the counts in."""
        self.show(counts.done, counts.done, counts.sent_bytes + counts.passed_bytes)


def _pieces(read: Callable[[int], bytes]) -> Generator[bytes, None, None]:
    while piece := read(_READ_BYTES):
        yield piece


def _show(counts: _Counts, seconds: float) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(justify="right")
    table.add_column()
    rows = [(counts.acknowledged, "acknowledged"), (counts.skipped, "sent before"), (counts.failed.total(), "not sent")]
    for count, what in rows:
        if count or what == "acknowledged":
            table.add_row(f"{count:,}", what)
    console = out()
    console.print(table)
    show_codes(counts.failed)
    rate = counts.sent_bytes / 1e6 / max(seconds, 1e-9)
    console.print(f"{counts.sent_bytes / 1e6:,.1f} MB in {seconds:.1f} s ({rate:,.1f} MB a second)")


def _target(text: str) -> _Target:
    if text.startswith(_FOLDER) and len(text) > len(_FOLDER):
        return _Target("ingest", folder=Path(text.removeprefix(_FOLDER)))
    addresses, _, topic = text.removeprefix(_KAFKA).partition("/")
    found = tuple(part for part in addresses.split(",") if part)
    if not text.startswith(_KAFKA) or not found or not topic or "/" in topic:
        raise TarnhelmError(errors.SEND_TARGET)
    return _Target(topic, addresses=found)


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
