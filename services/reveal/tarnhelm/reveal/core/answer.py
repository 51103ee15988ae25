"""An answer: rows sealed to who asked, behind a header, before an end that the audit's signed head vouches for.

::

    {"answer": {"format", "case", "case_digest", "requester", "to"}}
    {"chunk": base64 of one sealed record (linkage/vaults/envelope.py)}      any number
    {"end": {"chunks", "sha256": of all bytes before this line, "line": the audit line, "head", "signature"}}

Anybody can seal to a public key, so the sealing alone would not say who answered: the audit line holds the sha256
of the answer, and the head over that line is signed by an enrolled writer.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Final

from tarnhelm.common.errors import ANSWER_UNREADABLE, TarnhelmError
from tarnhelm.linkage.core.ledger import SealedRecord, record_context
from tarnhelm.linkage.vaults.base import SealItem
from tarnhelm.linkage.vaults.envelope import Sealer
from tarnhelm.reveal.core.audit.lines import parse_head, parse_line
from tarnhelm.reveal.core.documents import canonical
from tarnhelm.reveal.core.openers.local import SealReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tarnhelm.reveal.core.cases import CaseKind
    from tarnhelm.reveal.core.desk import Claim, Desk, Receipt
    from tarnhelm.reveal.core.documents import Signed
    from tarnhelm.reveal.core.keyring import PersonKeys

__all__ = ["Row", "answer_case", "read_answer"]

_FORMAT: Final = 1
_ROWS_AT_ONCE: Final = 200
_PADDED_TO: Final = 1024
_NOTHING: Final = "none"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an answer. Its representation shows nothing of it.

    Attributes
    ----------
    surrogate
        As asked, or as in the record.
    kind
        ``subject``, ``study``, ``paths``, ``uids``, ``uid``; ``none`` where nothing is known of the surrogate.
    subject
        Of a study: the surrogate Patient ID.
    values
        (kind, original value).
    pairs
        (original, released) paths or UIDs.
    """

    surrogate: str
    kind: str
    subject: str = ""
    values: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    pairs: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def nothing(cls, surrogate: str) -> Row:
        """Nothing is known of the surrogate."""
        return cls(surrogate, _NOTHING)

    @property
    def found(self) -> bool:
        """Whether anything is known."""
        return self.kind != _NOTHING


def answer_case(
    desk: Desk,
    case_id: str,
    wish: Signed,
    kinds: frozenset[CaseKind],
    rows: Callable[[Claim], Iterable[Row]],
    spool: IO[bytes],
    *,
    random: Callable[[int], bytes] = os.urandom,
) -> Receipt:
    """Use a case once: claim it, seal the rows into ``spool``, spend it, and write the end of the answer.

    Where anything fails, ``spool`` holds no whole answer and must not be handed out; the case is spent only if
    the audit says so.

    Parameters
    ----------
    wish
        The requester's signed wish to collect.
    rows
        Called after the claim was audited: opens the links.
    spool
        Empty, binary, private; from its beginning the answer.
    """
    claim = desk.claim(case_id, wish, kinds)
    case = claim.case
    digest, written = hashlib.sha256(), [0, 0, 0]

    def write(line: dict[str, Any]) -> None:
        content = canonical(line) + b"\n"
        digest.update(content)
        spool.write(content)

    header = {"format": _FORMAT, "case": case.id, "case_digest": claim.view.digest, "requester": case.requester}
    write({"answer": {**header, "to": case.answer_key}})
    name = _sealed_as(claim.view.digest)
    sealer = Sealer(name, bytes.fromhex(case.answer_key), random=random)
    try:
        source = iter(rows(claim))
        while page := list(islice(source, _ROWS_AT_ONCE)):
            item = SealItem(_padded(page), record_context("answer", str(written[0])))
            write({"chunk": base64.b64encode(sealer.seal([item])[0]).decode()})
            written[0] += 1
            written[1] += len({row.surrogate for row in page if row.found})
            written[2] += sum(row.found for row in page)
    except TarnhelmError as error:
        desk.abandon(claim, error.code)
        raise
    receipt = desk.finish(claim, result=digest.hexdigest(), found=written[1], records=written[2])
    end = {
        "chunks": written[0],
        "sha256": digest.hexdigest(),
        "line": receipt.line.raw.decode(),
        "head": receipt.head.to_bytes().decode(),
    }
    spool.write(canonical({"end": end}) + b"\n")
    return receipt


def read_answer(stream: IO[bytes], keys: PersonKeys, writers: Mapping[str, bytes]) -> Iterator[Row]:
    """Open an answer with the keys of who asked.

    The whole of it is checked before the first row is given.

    Parameters
    ----------
    stream
        Seekable; read from its beginning.
    writers
        Enrolled writers of audits and their public keys.

    Raises
    ------
    TarnhelmError
        RVL-026 where it was cut or changed, is not vouched for by an enrolled writer, or is for other keys.
    """
    try:
        digest_of_case = _vouched(stream, keys, writers)
        reader = SealReader(keys.answer)
        stream.seek(0)
        for number, sealed in enumerate(_chunks(stream)):
            record = SealedRecord(_sealed_as(digest_of_case), "answer", str(number), sealed)
            for row in json.loads(reader.open(record, number)):
                yield Row(row[0], row[1], row[2], tuple(map(tuple, row[3])), tuple(map(tuple, row[4])))
    except (TarnhelmError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        raise TarnhelmError(ANSWER_UNREADABLE) from None


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    for line in stream:
        body = json.loads(line)
        if "chunk" in body:
            yield base64.b64decode(body["chunk"], validate=True)


def _vouched(stream: IO[bytes], keys: PersonKeys, writers: Mapping[str, bytes]) -> str:
    """Check header, digest, audit line and head; the case's digest."""
    stream.seek(0)
    digest = hashlib.sha256()
    header: dict[str, Any] = {}
    chunks = 0
    for line in stream:
        body = json.loads(line)
        if "end" in body:
            end = body["end"]
            break
        if not header:
            header = body["answer"]
        else:
            chunks += 1
        digest.update(line)
    else:
        raise TarnhelmError(ANSWER_UNREADABLE)
    told, head = parse_line(end["line"].encode()), parse_head(end["head"].encode())
    if told is None or head is None or stream.read(1):
        raise TarnhelmError(ANSWER_UNREADABLE)
    right = (
        header["format"] == _FORMAT
        and header["to"] == keys.answer_public.hex()
        and end["chunks"] == chunks
        and end["sha256"] == digest.hexdigest() == told.fields["result"]
        and told.event == "used"
        and (told.fields["case"], told.fields["digest"]) == (header["case"], header["case_digest"])
        and (head.writer, head.sequence, head.sha) == (told.writer, told.sequence, told.sha)
        and head.writer in writers
        and head.holds(writers[head.writer])
    )
    if not right:
        raise TarnhelmError(ANSWER_UNREADABLE)
    return str(header["case_digest"])


def _sealed_as(case_digest: str) -> str:
    return f"answer {case_digest}"


def _padded(rows: list[Row]) -> bytes:
    # ASCII JSON: paths may hold bytes that are no UTF-8. The padding keeps the length of a name from the size.
    listed = [[row.surrogate, row.kind, row.subject, row.values, row.pairs] for row in rows]
    text = json.dumps(listed, separators=(",", ":")).encode("ascii")
    return text.ljust(-(-len(text) // _PADDED_TO) * _PADDED_TO)
