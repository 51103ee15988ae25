"""What a command line names: the state directory, key files with their passphrases, files to write."""

from __future__ import annotations

import getpass
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.core.projects import state_directory
from tarnhelm.linkage.local import LocalLinkage
from tarnhelm.reveal.core.keyring import LEAST_PASSPHRASE, PersonKeys, read_keys
from tarnhelm.reveal.core.openers.local import LocalOpener
from tarnhelm.reveal.local import LocalReveal
from tarnhelm.reveal.tool.console import err
from tarnhelm.reveal.tool.office import LocalOffice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tarnhelm.reveal.client.office import RemoteOffice
    from tarnhelm.reveal.client.settings import RemoteSettings
    from tarnhelm.reveal.core.openers.base import Opener
    from tarnhelm.reveal.core.people import Person, Register
    from tarnhelm.reveal.tool.office import Office

__all__ = [
    "AsOption",
    "CustodianOption",
    "CustodianPassphraseOption",
    "PassphraseOption",
    "ask_passphrase",
    "linkage",
    "new_file",
    "office",
    "opener",
    "person_keys",
    "person_of",
    "remote",
    "remote_office",
    "reveal",
]

AsOption = Annotated[
    Path, typer.Option("--as", metavar="KEY.pem", help="Your key file: who you are.", show_default=False)
]
PassphraseOption = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="Its passphrase, instead of typing it.", show_default=False),
]
CustodianOption = Annotated[
    Path | None,
    typer.Option(
        "--custodian-key",
        metavar="PRIVATE.pem",
        help="The custodian's private key. Without it: the key of this machine, if no custodian was named.",
        show_default=False,
    ),
]
CustodianPassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--custodian-passphrase-file",
        metavar="FILE",
        help="Its passphrase; a key that has one is asked for otherwise.",
        show_default=False,
    ),
]


def _root() -> Path:
    return state_directory(os.environ, Path.home())


def reveal() -> LocalReveal:
    """Give the way back of this user."""
    return LocalReveal(_root())


def linkage() -> LocalLinkage:
    """Give the projects, vault and ledgers of this user."""
    return LocalLinkage(_root())


def remote() -> RemoteSettings | None:
    """Give the server that this person's tool was connected to, if it was."""
    if not (_root() / "reveal" / "remote.toml").exists():
        return None
    from tarnhelm.reveal.client.settings import read_remote  # noqa: PLC0415 - one machine needs no server's parts

    return read_remote(_root() / "reveal")


@contextmanager
def remote_office(case: str = "") -> Iterator[RemoteOffice]:
    """Give the office of the server; RVL-029 where none was named."""
    settings = remote()
    if settings is None:
        raise TarnhelmError(errors.REVEAL_MISSING)
    from tarnhelm.reveal.client.office import RemoteOffice  # noqa: PLC0415

    here = reveal()

    def waits(accessors: Sequence[str]) -> None:
        err().print("The vault waits for the second person. Ask the approver to run:", soft_wrap=True)
        err().print(f"  tarnhelm-reveal case release {case} {' '.join(accessors)} ...", soft_wrap=True, markup=False)

    found = RemoteOffice(here.folder, settings, clock=here.clock, random=here.random, waits=waits)
    try:
        yield found
    finally:
        found.close()


@contextmanager
def office(custodian: Path | None = None, passphrase: Path | None = None, *, case: str = "") -> Iterator[Office]:
    """Give the office: the server that was named with ``connect``, or this machine.

    Raises
    ------
    TarnhelmError
        LNK-032 where a custodian's key is given and a server answers: no key of one is sent anywhere.
    """
    if remote() is None:
        yield LocalOffice(reveal(), linkage, lambda project: opener(project, custodian, passphrase))
        return
    if custodian is not None:
        raise TarnhelmError(errors.NO_CUSTODIAN_HERE)
    with remote_office(case) as found:
        yield found


def ask_passphrase(file: Path | None, *, confirm: bool = False) -> bytes:
    """Read a passphrase from a file (its first line) or the terminal; never from arguments or the environment."""
    if file is not None:
        return _read(file).split(b"\n", 1)[0].rstrip(b"\r")
    first = getpass.getpass("Passphrase: ")
    if confirm and getpass.getpass("Again: ") != first:
        raise TarnhelmError(errors.BAD_PERSON_KEY, least=LEAST_PASSPHRASE)
    return first.encode()


def person_keys(path: Path, passphrase: Path | None) -> PersonKeys:
    """Open a person's key file."""
    content = _read(path)
    return read_keys(content, ask_passphrase(passphrase))


def person_of(keys: PersonKeys, register: Register) -> Person:
    """Give who holds the keys; RVL-001, RVL-004."""
    return register.active(register.by_signing_key(keys.signing_public).id)


def opener(project_id: str, key: Path | None, passphrase: Path | None) -> Opener:
    """Give what opens the project's records: the custodian's key, or the one of this machine."""
    path = key or _root() / "keys" / project_id / "recipient.pem"
    content = _read(path)
    secret = ask_passphrase(passphrase) if passphrase is not None or b"ENCRYPTED" in content else None
    return LocalOpener(content, passphrase=secret)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Make a new file of mode 0600; taken away again where anything fails.

    Raises
    ------
    TarnhelmError
        RVL-030 where it exists or cannot be made or written.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError:
        raise TarnhelmError(errors.OUTPUT_EXISTS) from None
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(descriptor)
    except OSError:
        path.unlink(missing_ok=True)
        raise TarnhelmError(errors.OUTPUT_EXISTS) from None
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise TarnhelmError(errors.KEY_UNREADABLE) from None
