"""``case answer`` and ``read``, ``locate``, ``mapping export``: what an approved case gives, once."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.reveal.core import cases
from tarnhelm.reveal.core.answer import answer_case, read_answer
from tarnhelm.reveal.core.cases import CaseKind
from tarnhelm.reveal.core.inputs import originals_in
from tarnhelm.reveal.core.rows import located, looked_up, mapped, uid_mapper, write_table
from tarnhelm.reveal.tool.at_hand import (
    AsOption,
    CustodianOption,
    CustodianPassphraseOption,
    PassphraseOption,
    linkage,
    new_file,
    opener,
    person_keys,
    person_of,
    reveal,
    spare_file,
)
from tarnhelm.reveal.tool.case_commands import CaseArgument, found_case, project_of
from tarnhelm.reveal.tool.console import err, out, plain, reports_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tarnhelm.linkage.core.ledger import SealedRecord
    from tarnhelm.linkage.core.projects import Project
    from tarnhelm.reveal.core.answer import Row
    from tarnhelm.reveal.core.desk import Claim
    from tarnhelm.reveal.core.keyring import PersonKeys
    from tarnhelm.reveal.local import LocalReveal

__all__ = ["register"]

_MAPPING_HELP = """The table of a whole project: original and released paths, UIDs and IDs, on an approved case.

    tarnhelm-reveal mapping export 3f9a mapping.csv --as bob.pem --custodian-key custodian.pem
"""


def register(app: typer.Typer, case: typer.Typer) -> None:
    """Add the commands."""
    case.command("answer")(answer)
    case.command("read")(read)
    app.command("locate")(locate)
    mapping = typer.Typer(help=_MAPPING_HELP, no_args_is_help=True, rich_markup_mode="rich")
    mapping.command("export")(export)
    app.add_typer(mapping, name="mapping")


@reports_errors
def answer(
    case: CaseArgument,
    target: Annotated[Path, typer.Argument(metavar="OUT.answer", help="A new file; only who asked can open it.")],
    key: AsOption,
    passphrase: PassphraseOption = None,
    custodian: CustodianOption = None,
    custodian_passphrase: CustodianPassphraseOption = None,
) -> None:
    """Answer an approved case, once: who asked signs, the custodian's key opens the links.

    [bold]Example[/bold]

        tarnhelm-reveal case answer 3f9a case.answer --as bob.pem --custodian-key /media/key/custodian.pem
    """
    here = reveal()
    keys = person_keys(key, passphrase)

    def rows(claim: Claim) -> Iterable[Row]:
        project = project_of(claim.view)
        found = opener(project.id, custodian, custodian_passphrase)
        return looked_up(claim.case.surrogates, _records(project), found)

    with new_file(target) as stream:
        _answer(here, case, keys, CaseKind.ANSWER, rows, stream)
    err().print("Read it with: tarnhelm-reveal case read", soft_wrap=True)


@reports_errors
def read(
    source: Annotated[Path, typer.Argument(metavar="FILE.answer")],
    key: AsOption,
    target: Annotated[
        Path | None, typer.Option("--csv", metavar="OUT.csv", help="Write a table instead; it holds identifiers.")
    ] = None,
    passphrase: PassphraseOption = None,
) -> None:
    """Open an answer with your key and show it.

    [bold]Examples[/bold]

        tarnhelm-reveal case read case.answer --as bob.pem

        tarnhelm-reveal case read case.answer --as bob.pem --csv patients.csv
    """
    keys = person_keys(key, passphrase)
    writers = reveal().people().load().writers()
    try:
        stream = source.open("rb")
    except OSError:
        raise TarnhelmError(errors.ANSWER_UNREADABLE) from None
    with stream:
        rows = read_answer(stream, keys, writers)
        if target is None:
            _show(rows)
        else:
            _write(rows, target)


@reports_errors
def locate(
    case: CaseArgument,
    target: Annotated[Path, typer.Argument(metavar="OUT.answer", help="A new file; only who asked can open it.")],
    originals: Annotated[
        list[Path],
        typer.Argument(
            metavar="ORIGINALS...",
            help="The original study's UIDs: a CSV, what the PACS lists, or the folder of its DICOM files.",
        ),
    ],
    key: AsOption,
    passphrase: PassphraseOption = None,
) -> None:
    """Find which original series and objects have the released UIDs of an approved case of the kind locate.

    Series and SOP Instance UIDs are kept nowhere. They are derived again from the UIDs of the original study, which
    a case of the kind answer names.

    [bold]Example[/bold]

        tarnhelm-reveal locate 77b0 found.answer study-from-pacs.json --as bob.pem
    """
    here = reveal()
    keys = person_keys(key, passphrase)
    candidates = list(originals_in(originals))

    def rows(claim: Claim) -> Iterable[Row]:
        project = project_of(claim.view)
        return located(claim.case.surrogates, candidates, uid_mapper(linkage().vault, project))

    with new_file(target) as stream:
        _answer(here, case, keys, CaseKind.LOCATE, rows, stream)
    err().print("Read it with: tarnhelm-reveal case read", soft_wrap=True)


@reports_errors
def export(
    case: CaseArgument,
    target: Annotated[Path, typer.Argument(metavar="OUT.csv", help="A new file; it holds identifiers.")],
    key: AsOption,
    passphrase: PassphraseOption = None,
    custodian: CustodianOption = None,
    custodian_passphrase: CustodianPassphraseOption = None,
) -> None:
    """Write every link of a project, on an approved case of the kind mapping.

    [bold]Example[/bold]

        tarnhelm-reveal mapping export 3f9a mapping.csv --as bob.pem --custodian-key /media/key/custodian.pem
    """
    here = reveal()
    keys = person_keys(key, passphrase)
    writers = here.people().load().writers()

    def rows(claim: Claim) -> Iterable[Row]:
        project = project_of(claim.view)
        return mapped(_records(project), opener(project.id, custodian, custodian_passphrase))

    with new_file(target) as stream, spare_file(here) as spool:
        _answer(here, case, keys, CaseKind.MAPPING, rows, spool, keep=True)
        written = _table(read_answer(spool, keys, writers), stream)
    err().print(f"{written:,} links written. The file holds identifiers: treat it like the originals.", soft_wrap=True)


def _answer(
    here: LocalReveal,
    case: str,
    keys: PersonKeys,
    kind: CaseKind,
    rows: Callable[[Claim], Iterable[Row]],
    target: IO[bytes],
    *,
    keep: bool = False,
) -> None:
    """Answer into a nameless file first: nothing reaches ``target`` before the case was spent."""
    with here.desk() as desk, spare_file(here) as spare:
        view = found_case(desk, case)
        spool = target if keep else spare
        wish = cases.collect(keys, person_of(keys, here.people().load()), view.digest, here.clock())
        answer_case(desk, view.case.id, wish, frozenset({kind}), rows, spool, random=here.random)
        if not keep:
            spare.seek(0)
            shutil.copyfileobj(spare, target)


def _records(project: Project) -> Callable[[str, str], Iterator[SealedRecord]]:
    store = linkage()
    return lambda kind, handle: store.records(project.id, kind, handle)


def _show(rows: Iterable[Row]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("surrogate", "kind", "what", "original"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        if not row.found:
            table.add_row(plain(row.surrogate), "", "", "nothing is known")
        for what, original in row.values:
            table.add_row(plain(row.surrogate), row.kind, what, plain(original))
        for original, released in row.pairs:
            table.add_row(plain(released), row.kind, "path", plain(original))
    out().print(table)


def _write(rows: Iterable[Row], target: Path) -> None:
    with new_file(target) as stream:
        written = _table(rows, stream)
    err().print(f"{written:,} lines written. The file holds identifiers: treat it like the originals.", soft_wrap=True)


def _table(rows: Iterable[Row], stream: IO[bytes]) -> int:
    text = io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline="")
    try:
        return write_table(rows, text)
    finally:
        text.flush()
        text.detach()
