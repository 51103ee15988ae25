"""The header of a cleaned object, listed for a reviewer by a confined worker.

Only what a stage wrote is ever read, never what came in. The worker gets the first bytes of that blob and nothing else;
its answer is data of a fixed form. Where the witness found an identifier in the object no value is listed at all.
"""

from __future__ import annotations

import os
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common import errors
from tarnhelm.common.dicom.charsets import TEXT_VRS, Charset, decoder
from tarnhelm.common.dicom.header import PIXEL_DATA, Element, Encoding, KeyTable, NeedMore, Walker, read_start
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import DEFAULT_LIMITS, MIB, Limits
from tarnhelm.common.sandbox import PoolSettings, WorkerPool
from tarnhelm.common.stage import StageOutcome, Status
from tarnhelm.gateway.stream import road

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tarnhelm.gateway.blobs import BlobStore
    from tarnhelm.gateway.record import ObjectRecord
    from tarnhelm.gateway.state.base import StateStore

__all__ = ["HeaderJob", "HeaderLine", "HeaderListing", "HeaderRoom", "ShownHeader", "list_header", "make_core"]

HEAD_BYTES: Final = 8 * MIB
_MOST_LINES: Final = 3000
_MOST_TEXT: Final = 96
_MOST_DEPTH: Final = 8
_NUMBERS: Final = {
    "US": (2, False), "SS": (2, True), "UL": (4, False), "SL": (4, True), "UV": (8, False), "SV": (8, True),
}  # fmt: skip
_TEXTS: Final = TEXT_VRS | {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"}


@dataclass(frozen=True, slots=True)
class HeaderJob:
    """One file with the first bytes of a cleaned object of ``total`` bytes."""

    path: Path
    total: int
    values: bool


@dataclass(frozen=True, slots=True)
class HeaderLine:
    """One element; ``value`` is empty where it is none that can be read in a line."""

    depth: int
    tag: int
    keyword: str
    vr: str
    length: int
    value: str


@dataclass(frozen=True, slots=True)
class HeaderListing:
    """The elements in order; ``cut`` where there are more; ``code`` where it cannot be read."""

    lines: tuple[HeaderLine, ...] = ()
    cut: bool = False
    code: str = ""


class _Table(KeyTable):
    """Knows VR by the dictionary, for Implicit VR Little Endian."""

    def vr_of(self, tag: int) -> str:
        from pydicom.datadict import dictionary_VR  # noqa: PLC0415 - workers alone need the dictionary

        try:
            return dictionary_VR(tag).split(" or ")[0]
        except KeyError:
            return "UN"

    def nested(self, tag: int, encoding: Encoding) -> KeyTable:
        del tag
        return self if encoding is self.encoding else _Table(encoding)


def make_core(limits: Limits) -> Callable[[HeaderJob, Any], HeaderListing]:
    """Make what the workers run."""

    def core(job: HeaderJob, _caller: Any) -> HeaderListing:
        return list_header(job.path.read_bytes(), job.total, values=job.values, limits=limits)

    return core


def list_header(data: bytes, total: int, *, values: bool, limits: Limits = DEFAULT_LIMITS) -> HeaderListing:
    """List the elements before the pixel data of a DICOM file of which ``data`` are the first bytes.

    Raises
    ------
    TarnhelmError
        What the walker raises.
    """
    from pydicom.uid import AllTransferSyntaxes  # noqa: PLC0415 - workers alone need it

    start = read_start(data, frozenset(str(uid) for uid in AllTransferSyntaxes))
    pos = start.dataset
    if start.deflated:
        inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[pos:], HEAD_BYTES)
        data, pos, total = inflated, 0, max(len(inflated) + 1, total)
    walker = Walker(data, total, limits)
    table = _Table(start.encoding)
    writer = _Lines(data, values=values)
    while pos < len(data):
        if int.from_bytes(data[pos : pos + 2], "little") == PIXEL_DATA >> 16:
            return HeaderListing(tuple(writer.lines))
        try:
            element = walker.one(pos, total, table)
        except NeedMore:
            return HeaderListing(tuple(writer.lines), cut=True)
        if not writer.add(element, 0):
            return HeaderListing(tuple(writer.lines), cut=True)
        pos = element.end
    return HeaderListing(tuple(writer.lines), cut=pos < total)


class _Lines:
    """Turns elements into lines."""

    def __init__(self, data: bytes, *, values: bool) -> None:
        self.lines: list[HeaderLine] = []
        self._data = data
        self._values = values
        self._charset: Charset = decoder(())

    def add(self, element: Element, depth: int) -> bool:
        """Add an element and what is in it; false where there are too many."""
        from pydicom.datadict import keyword_for_tag  # noqa: PLC0415 - workers alone need the dictionary

        if len(self.lines) >= _MOST_LINES or depth > _MOST_DEPTH:
            return False
        entry = element.entry
        raw = self._data[element.value : element.value_end] if element.items is None else b""
        if entry.tag == 0x00080005:
            self._charset = decoder(tuple(raw.decode("ascii", "replace").strip(" \0").split("\\")))
        text = self._text(entry.vr, raw, element.encoding) if self._values and element.items is None else ""
        length = len(element.items) if element.items is not None else element.value_end - element.value
        self.lines.append(HeaderLine(depth, entry.tag, keyword_for_tag(entry.tag) or "", entry.vr, length, text))
        return all(self.add(inner, depth + 1) for item in element.items or () for inner in item.elements)

    def _text(self, vr: str, raw: bytes, encoding: int) -> str:
        if vr in _TEXTS:
            part = raw[: 4 * _MOST_TEXT]
            text = self._charset.decode(part, vr) if vr in TEXT_VRS else part.decode("ascii", "replace")
        elif vr in _NUMBERS:
            width, negative = _NUMBERS[vr]
            order = "big" if encoding == Encoding.EXPLICIT_BIG else "little"
            numbers = [raw[at : at + width] for at in range(0, min(len(raw), width * 16), width)]
            text = "\\".join(str(int.from_bytes(one, order, signed=negative)) for one in numbers)  # type: ignore[arg-type]
        else:
            return ""
        plain = "".join(character if character.isprintable() else " " for character in text.strip(" \0"))
        return plain if len(plain) <= _MOST_TEXT else f"{plain[:_MOST_TEXT]}…"


@dataclass(frozen=True, slots=True)
class ShownHeader:
    """What a reviewer gets.

    Attributes
    ----------
    actions
        Keyword or tag → what the stage did to it.
    withheld
        Whether values were left out.
    """

    stage: str
    listing: HeaderListing
    actions: Mapping[str, str]
    withheld: bool


class HeaderRoom:
    """Fetches the first bytes of a work blob and has a worker list them; workers start with the first wish."""

    def __init__(self, store: StateStore, blobs: BlobStore, scratch: Path, workers: int, limits: Limits) -> None:
        self._store = store
        self._blobs = blobs
        self._scratch = scratch
        self._settings = PoolSettings(f"{__name__}:make_core", limits, HeaderListing, None, workers, limits)
        self._pool: WorkerPool | None = None
        self._starting = threading.Lock()

    def stage_of(self, record: ObjectRecord, stages: Sequence[str]) -> str:
        """Name of the last stage whose result is still there; empty where there is none."""
        for stage in reversed(stages):
            outcome = self._outcome(record, stage)
            done = outcome is not None and outcome.status is Status.DONE
            if done and self._blobs.stat(road.work_blob(record, stage)) is not None:
                return stage
        return ""

    def show(self, record: ObjectRecord, stages: Sequence[str]) -> ShownHeader:
        """List the header of an object.

        Raises
        ------
        TarnhelmError
            ``WEB-012`` where there is none; the worker's code where it cannot be read.
        """
        stage = self.stage_of(record, stages)
        name = road.work_blob(record, stage) if stage else None
        info = self._blobs.stat(name) if name is not None else None
        _, findings = self._store.verdict(record.object_id)
        withheld = bool(findings) or record.code.startswith("WIT-")
        if name is None or info is None:
            raise TarnhelmError(errors.NO_HEADER)
        fd, text = tempfile.mkstemp(prefix="header-", dir=self._scratch)
        path = Path(text)
        try:
            with os.fdopen(fd, "wb") as stream, self._blobs.open(name, 0, min(info.size, HEAD_BYTES)) as reader:
                for piece in reader:
                    stream.write(piece)
            listing = self._submit(HeaderJob(path, info.size, not withheld)).result()
        finally:
            path.unlink(missing_ok=True)
        if listing.code:
            raise TarnhelmError(errors.CATALOGUE.get(listing.code, errors.NO_HEADER))
        return ShownHeader(stage, listing, _actions(self._outcome(record, one) for one in stages), withheld)

    def close(self) -> None:
        """Stop the workers."""
        if self._pool is not None:
            self._pool.close(drain=False)

    def _outcome(self, record: ObjectRecord, stage: str) -> StageOutcome | None:
        return self._store.outcome(record.object_id, stage, road.outcome_key(record))

    def _submit(self, job: HeaderJob) -> Future[HeaderListing]:
        with self._starting:
            if self._pool is None:
                self._pool = WorkerPool(self._settings, failed=_failed)
        return self._pool.submit(job, min(job.total, HEAD_BYTES))


def _failed(_job: HeaderJob, error: TarnhelmError) -> HeaderListing:
    return HeaderListing(code=error.code)


def _actions(outcomes: Iterable[StageOutcome | None]) -> Mapping[str, str]:
    """Attribute → action; where several things were done to one attribute, the one that was done most."""
    found: dict[str, tuple[int, str]] = {}
    for outcome in outcomes:
        for (attribute, action), count in (outcome.actions if outcome is not None else {}).items():
            if count > found.get(attribute, (0, ""))[0]:
                found[attribute] = count, action
    return {attribute: action for attribute, (_, action) in found.items()}
