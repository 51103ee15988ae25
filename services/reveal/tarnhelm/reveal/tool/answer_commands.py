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
from tarnhelm.reveal.core.answer import read_answer
from tarnhelm.reveal.core.inputs import originals_in
from tarnhelm.reveal.core.rows import pair_word, write_table
from tarnhelm.reveal.tool.at_hand import (
    AsOption,
    CustodianOption,
    CustodianPassphraseOption,
    PassphraseOption,
    new_file,
    office,
    person_keys,
    person_of,
)
from tarnhelm.reveal.tool.case_commands import CaseArgument
from tarnhelm.reveal.tool.console import err, out, plain, reports_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tarnhelm.reveal.core.answer import Row
    from tarnhelm.reveal.core.documents import Signed
    from tarnhelm.reveal.core.keyring import PersonKeys
    from tarnhelm.reveal.core.view import CaseView
    from tarnhelm.reveal.tool.office import Office

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
    keys = person_keys(key, passphrase)
    with new_file(target) as stream, office(custodian, custodian_passphrase, case=case) as here:
        _answer(here, case, keys, here.answer, stream)
    _say_how_to_read(target)


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
    with office() as here:
        writers = here.register().writers()
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

    They are derived again from the UIDs of the original study, which a case of the kind answer names, so nothing but
    the project's key needs to be kept for it. What was released in an earlier epoch is found too.

    [bold]Example[/bold]

        tarnhelm-reveal locate 77b0 found.answer study-from-pacs.json --as bob.pem
    """
    keys = person_keys(key, passphrase)
    candidates = list(originals_in(originals))
    with new_file(target) as stream, office(case=case) as here:
        _answer(here, case, keys, lambda view, wish, spool: here.locate(view, wish, candidates, spool), stream)
    _say_how_to_read(target)


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
    keys = person_keys(key, passphrase)
    with new_file(target) as stream, office(custodian, custodian_passphrase, case=case) as here, here.spare() as spool:
        writers = here.register().writers()
        _answer(here, case, keys, here.mapping, spool, keep=True)
        written = _table(read_answer(spool, keys, writers), stream)
    err().print(f"{written:,} links written. The file holds identifiers: treat it like the originals.", soft_wrap=True)


def _answer(
    here: Office,
    case: str,
    keys: PersonKeys,
    use: Callable[[CaseView, Signed, IO[bytes]], None],
    target: IO[bytes],
    *,
    keep: bool = False,
) -> None:
    """Answer into a nameless file first: nothing reaches ``target`` before the case was spent."""
    with here.spare() as spare:
        view = here.case(case)
        spool = target if keep else spare
        use(view, cases.collect(keys, person_of(keys, here.register()), view.digest, here.clock()), spool)
        if not keep:
            spare.seek(0)
            shutil.copyfileobj(spare, target)


def _say_how_to_read(target: Path) -> None:
    err().print(f"Read it with: tarnhelm-reveal case read {target}", markup=False, soft_wrap=True)


def _show(rows: Iterable[Row]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("surrogate", "kind", "what", "original"):
        table.add_column(heading, overflow="fold")
    before = ("", "")
    for row in rows:
        lines = [(row.surrogate, what, original) for what, original in row.values]
        lines += [(released, pair_word(row), original) for original, released in row.pairs]
        if not row.found:
            lines.append((row.surrogate, "", "nothing is known"))
        for surrogate, what, original in lines:
            # Said once for all that is known of it.
            known = before == (surrogate, row.kind)
            table.add_row("" if known else plain(surrogate), "" if known else row.kind, what, plain(original))
            before = (surrogate, row.kind)
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
