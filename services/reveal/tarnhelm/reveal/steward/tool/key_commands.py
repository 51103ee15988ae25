"""``tarnhelm-steward keys``, ``key`` and ``ends``: rotation, backup, restore."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.vaults.login import TokenFile
from tarnhelm.linkage.vaults.session import VaultSession
from tarnhelm.reveal.steward.backup import write_backup
from tarnhelm.reveal.steward.keys import close_act, rewrap, transit_of
from tarnhelm.reveal.steward.local_backup import pack
from tarnhelm.reveal.steward.office import Office
from tarnhelm.reveal.steward.reapply import apply_ends
from tarnhelm.reveal.steward.recovery import keep_recovery_key, new_shares, read_recovery_key
from tarnhelm.reveal.steward.restore import (
    ALL_PROJECTS,
    SNAPSHOT,
    Patience,
    local_restore,
    restore_act,
    server_restore,
)
from tarnhelm.reveal.steward.tool.at_hand import (
    CheckOption,
    DaysOption,
    LegalBasisOption,
    ProjectOption,
    PurposeOption,
    full_id,
    here,
    local_state,
    nameless_file,
    place,
    propose,
    read_file,
    server_settings,
)
from tarnhelm.reveal.steward.tool.case_commands import OutOption, show_papers
from tarnhelm.reveal.steward.tool.subject_commands import OpenedBy
from tarnhelm.reveal.tool.at_hand import AsOption, PassphraseOption, new_file, person_keys
from tarnhelm.reveal.tool.console import err, out, reports_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["register"]

_KEYS_HELP = """The key of the way back: renewed without opening anything. Pseudonyms do not change.

    tarnhelm-steward keys rotate --project trial-7 --as sam.pem
    tarnhelm-steward keys rewrap --project trial-7 --as sam.pem
    tarnhelm-steward keys close-old --project trial-7 --as sam.pem --purpose "Yearly renewal"
"""
_KEY_HELP = """Backups: made by one, opened by several.

    tarnhelm-steward key recovery --shares 5 --needed 3 --out shares/ --as sam.pem
    tarnhelm-steward key backup monday.backup --as sam.pem
    tarnhelm-steward key restore monday.backup --as sam.pem --purpose "Disk lost"
    tarnhelm-steward key restore monday.backup --case 3f9a --share a.txt --share b.txt --share c.txt --as sam.pem
"""
_ENDS_HELP = """The book of withdrawals and destructions, which outlives every restore.

    tarnhelm-steward ends apply --as sam.pem
"""
BackupArgument = Annotated[Path, typer.Argument(metavar="FILE.backup")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    keys = typer.Typer(help=_KEYS_HELP, no_args_is_help=True, rich_markup_mode="rich")
    keys.command("rotate")(rotate)
    keys.command("rewrap")(rewrap_)
    keys.command("close-old")(close_old)
    app.add_typer(keys, name="keys")
    key = typer.Typer(help=_KEY_HELP, no_args_is_help=True, rich_markup_mode="rich")
    key.command("recovery")(recovery)
    key.command("backup")(backup)
    key.command("restore")(restore)
    app.add_typer(key, name="key")
    ends = typer.Typer(help=_ENDS_HELP, no_args_is_help=True, rich_markup_mode="rich")
    ends.command("apply")(apply)
    app.add_typer(ends, name="ends")


@reports_errors
def rotate(project: ProjectOption, key: AsOption, passphrase: PassphraseOption = None) -> None:
    """Make a new version of the key; what is sealed from now on is sealed with it.

    [bold]Example[/bold]

        tarnhelm-steward keys rotate --project trial-7 --as sam.pem
    """
    keys = person_keys(key, passphrase)
    with Office.of(here()) as office, place() as where:
        keeper, found = transit_of(where), where.projects.get(project)
        office.alone(keys, found.id, "keys-rotate")
        out().print(f"Version {keeper.rotate(found.id)}")
    err().print("Older records still open. Bring them up to date: tarnhelm-steward keys rewrap", soft_wrap=True)


@reports_errors
def rewrap_(project: ProjectOption, key: AsOption, passphrase: PassphraseOption = None) -> None:
    """Seal every record with the latest version, inside the server; broken off, run it again.

    [bold]Example[/bold]

        tarnhelm-steward keys rewrap --project trial-7 --as sam.pem
    """
    keys = person_keys(key, passphrase)
    with Office.of(here()) as office, place() as where:
        transit_of(where)
        found = where.projects.get(project)
        office.alone(keys, found.id, "keys-rewrap")
        out().print(f"{rewrap(where, found):,} records sealed anew")


@reports_errors
def close_old(
    project: ProjectOption,
    version: Annotated[
        int, typer.Option("--before", min=0, help="Close the versions before this; 0: all but the latest.")
    ] = 0,
    purpose: PurposeOption = "",
    key: OpenedBy = None,
    legal_basis: LegalBasisOption = "",
    days: DaysOption = 14,
    check: CheckOption = "",
    passphrase: PassphraseOption = None,
) -> None:
    """Close old versions of the key: what is still sealed with them, in a stolen copy too, opens no more. Needs two people.

    [bold]Example[/bold]

        tarnhelm-steward keys close-old --project trial-7 --as sam.pem --purpose "Yearly renewal"
    """
    with place() as where:
        act = close_act(where, where.projects.get(project), version)
    propose(act, key, passphrase, purpose=purpose, legal_basis=legal_basis, days=days, check=check)


@reports_errors
def recovery(
    key: AsOption,
    target: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="A new folder for the shares.", show_default=False)
    ],
    shares: Annotated[int, typer.Option("--shares", help="How many there are, at most 16.")] = 5,
    needed: Annotated[int, typer.Option("--needed", help="How many open a backup, at least 2.")] = 3,
    passphrase: PassphraseOption = None,
) -> None:
    """Make the recovery key: its public half stays here, its private half exists only in the shares.

    [bold]Example[/bold]

        tarnhelm-steward key recovery --shares 5 --needed 3 --out shares/ --as sam.pem
    """
    keys = person_keys(key, passphrase)
    local = here()
    made, words = new_shares(needed, shares, local.random)
    try:
        target.mkdir(mode=0o700)
    except OSError:
        raise TarnhelmError(errors.OUTPUT_EXISTS) from None
    with Office.of(local) as office:
        office.alone(keys, ALL_PROJECTS, "recovery-key", shares)
        for number, text in enumerate(words, 1):
            with new_file(target / f"share-{number}-of-{shares}.txt") as stream:
                stream.write(f"{text}\n".encode())
        keep_recovery_key(local.folder / "recovery.json", made)
    out().print(f"Fingerprint {made.fingerprint}")
    err().print(
        f"Give each file to another person, on paper or on a medium of their own, then delete the folder. Any {needed} "
        f"of the {shares} together open every backup made from now on; lose more than {shares - needed} and no backup "
        "opens any more.",
        soft_wrap=True,
    )


@reports_errors
def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE.backup", help="A new file.")],
    key: AsOption,
    passphrase: PassphraseOption = None,
) -> None:
    """Back up the vault, sealed to the recovery key: a snapshot of the server, or the files of this machine.

    Keys of a server stay in it: its snapshot is encrypted by the server besides.

    [bold]Example[/bold]

        tarnhelm-steward key backup /backup/monday.backup --as sam.pem
    """
    keys = person_keys(key, passphrase)
    local, settings = here(), server_settings()
    public = read_recovery_key(local.folder / "recovery.json")
    with Office.of(local) as office, nameless_file() as spool, new_file(target) as stream:
        office.alone(keys, ALL_PROJECTS, "backup")
        what, content = ("local", pack(local_state(), spool)) if settings is None else ("transit", _snapshot())
        digest = write_backup(stream, public, what, content, now=local.clock(), random=local.random)
    out().print(f"sha256 {digest}")
    err().print(
        f"It opens with {public.needed} shares of the recovery key {public.fingerprint}. Keep people, cases, audit and the "
        "book of ends (the folder reveal/) in your ordinary backup: they are not in this one.",
        soft_wrap=True,
    )


@reports_errors
def restore(
    source: BackupArgument,
    key: OpenedBy = None,
    case: Annotated[
        str, typer.Option("--case", metavar="CASE", help="An approved case: carry it out. Without it, open one.")
    ] = "",
    share: Annotated[
        list[Path] | None, typer.Option("--share", metavar="FILE", help="A share of the recovery key; repeat it.")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option("--vault-token-file", metavar="FILE", help="Of a server: a token that may replace all it holds."),
    ] = None,
    ends: Annotated[
        Path | None,
        typer.Option("--ends", metavar="FILE", help="A copy of the book of ends that is longer than the one here."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Of one machine: replace what is there too, not only what is missing.")
    ] = False,
    purpose: PurposeOption = "",
    legal_basis: LegalBasisOption = "",
    days: DaysOption = 14,
    check: CheckOption = "",
    target: OutOption = None,
    passphrase: PassphraseOption = None,
) -> None:
    """Bring a backup back; every withdrawal and destruction since then is applied again before it serves.

    Needs two people for the case and several for the shares. A server must listen on its loopback address alone.

    [bold]Examples[/bold]

        tarnhelm-steward key restore monday.backup --as sam.pem --purpose "Disk lost"

        tarnhelm-steward key restore monday.backup --case 3f9a --share a.txt --share b.txt --share c.txt --as sam.pem
    """
    with _opened(source) as stream:
        if not case:
            act = restore_act(stream, replace=replace)
            propose(act, key, passphrase, purpose=purpose, legal_basis=legal_basis, days=days, check=check)
            return
        if key is None:
            raise TarnhelmError(errors.INPUT_UNREADABLE)
        keys = person_keys(key, passphrase)
        words = [read_file(path).decode("utf-8", "replace") for path in share or ()] or _typed()
        settings = server_settings()
        with Office.of(here()) as office:
            if ends is not None:
                office.ends.take_over(read_file(ends))
            case_id = full_id(office, case)
            if settings is None:
                work = local_restore(local_state(), stream, words, office.ends, nameless_file())
            else:
                if token_file is None:
                    raise TarnhelmError(errors.INPUT_UNREADABLE)
                login = TokenFile(token_file)
                patience = Patience(sealed=_sealed)
                work = server_restore(settings, login, stream, words, office.ends, nameless_file(), patience)
            left = office.carry_out(case_id, keys, work)
    show_papers(case_id, left, target)


@reports_errors
def apply(key: AsOption, passphrase: PassphraseOption = None) -> None:
    """Apply every withdrawal and destruction again, and try whether each holds.

    Run it after anything was restored by other means, for example the database, before it serves.

    [bold]Example[/bold]

        tarnhelm-steward ends apply --as sam.pem
    """
    keys = person_keys(key, passphrase)
    with Office.of(here()) as office, place() as where:
        book = office.ends.load()
        office.alone(keys, ALL_PROJECTS, "ends-apply", len(book.lines))
        out().print(f"{apply_ends(where, book):,} ends hold")


def _snapshot() -> Iterator[bytes]:
    settings = server_settings()
    if settings is None or settings.backup is None:
        raise TarnhelmError(errors.VAULT_SETTINGS)
    session = VaultSession(settings.server, settings.backup)
    try:
        yield from session.download(SNAPSHOT)
    finally:
        session.close()


def _sealed() -> None:
    err().print(
        "The server has the backup and does not answer yet. Unseal it, with the unseal keys of the server that the backup "
        "is of; withdrawals and destructions are applied as soon as it answers.",
        soft_wrap=True,
    )


def _typed() -> list[str]:
    """Take shares at the terminal, unseen, until an empty line."""
    found: list[str] = []
    while text := getpass.getpass(f"Share {len(found) + 1} (empty: no more): ").strip():
        found.append(text)
    return found


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError:
        raise TarnhelmError(errors.INPUT_UNREADABLE) from None
