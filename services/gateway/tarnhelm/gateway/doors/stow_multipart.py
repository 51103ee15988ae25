"""A multipart/related body, part by part, in bounded memory (RFC 2387, RFC 2046 section 5.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

__all__ = ["ContentType", "MultipartReader", "Part", "content_type"]

_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]", re.ASCII)
_MAX_PREAMBLE_BYTES: Final = 4_096
_MAX_PADDING_BYTES: Final = 128


@dataclass(frozen=True, slots=True)
class ContentType:
    """A media type in lower case, and its parameters."""

    name: str
    parameters: Mapping[str, str]

    @property
    def boundary(self) -> bytes:
        """The boundary of a multipart type, empty where there is none or it is not well formed."""
        found = self.parameters.get("boundary", "")
        return found.encode("ascii") if _BOUNDARY.fullmatch(found) else b""


def content_type(value: str) -> ContentType:
    """Take a Content-Type apart."""
    message = Message()
    message["content-type"] = value
    pairs: list[tuple[str, str]] = message.get_params() or [("", "")]
    parameters = {str(name).lower(): str(given) for name, given in pairs[1:]}
    return ContentType(str(pairs[0][0]).strip().lower(), parameters)


class Part:
    """One part; its data are read once, before the next part.

    Attributes
    ----------
    headers
        Names in lower case.
    """

    def __init__(self, headers: Mapping[str, str], data: Iterator[bytes]) -> None:
        self.headers = headers
        self.data = data


class MultipartReader:
    """Reads parts off an iterator of chunks.

    Parameters
    ----------
    chunks
        The body; empty chunks are passed over.
    boundary
        Without the leading hyphens.
    """

    def __init__(self, chunks: Iterator[bytes], boundary: bytes, max_header_bytes: int) -> None:
        self._chunks = chunks
        self._delimiter = b"\r\n--" + boundary
        self._max_header_bytes = max_header_bytes
        # The first delimiter has no line break before it where there is no preamble.
        self._buffer = bytearray(b"\r\n")

    def parts(self) -> Iterator[Part]:
        """Yield each part; what its reader left of its data is passed over.

        Raises
        ------
        TarnhelmError
            DOR-001 where the body does not follow its grammar or ends before its last delimiter.
        """
        preamble = 0
        for piece in self._until_delimiter():
            preamble += len(piece)
            if preamble > _MAX_PREAMBLE_BYTES:
                raise TarnhelmError(errors.PROTOCOL_BROKEN)
        while not self._is_last():
            part = Part(self._headers(), self._until_delimiter())
            yield part
            for _ in part.data:
                pass
        for _ in self._chunks:
            self._buffer.clear()

    def _until_delimiter(self) -> Iterator[bytes]:
        buffer, delimiter = self._buffer, self._delimiter
        keep = len(delimiter) - 1
        while (at := buffer.find(delimiter)) < 0:
            if len(buffer) > keep:
                piece = bytes(memoryview(buffer)[:-keep])
                del buffer[:-keep]
                yield piece
            self._more()
        piece = bytes(memoryview(buffer)[:at])
        del buffer[: at + len(delimiter)]
        if piece:
            yield piece

    def _is_last(self) -> bool:
        while len(self._buffer) < 2:
            self._more()
        if self._buffer.startswith(b"--"):
            return True
        padding = self._line(_MAX_PADDING_BYTES)
        if padding.strip(b" \t"):
            raise TarnhelmError(errors.PROTOCOL_BROKEN)
        return False

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        room = self._max_header_bytes
        while line := self._line(room):
            room -= len(line) + 2
            name, colon, value = line.partition(b":")
            if not colon or not name.strip():
                raise TarnhelmError(errors.PROTOCOL_BROKEN)
            headers[name.strip().decode("latin-1").lower()] = value.strip().decode("latin-1")
        # A part without data has the next delimiter's line break right after the empty line.
        return headers

    def _line(self, room: int) -> bytes:
        while (at := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > room:
                raise TarnhelmError(errors.PROTOCOL_BROKEN)
            self._more()
        if at > room:
            raise TarnhelmError(errors.PROTOCOL_BROKEN)
        line = bytes(self._buffer[:at])
        del self._buffer[: at + 2]
        return line

    def _more(self) -> None:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise TarnhelmError(errors.PROTOCOL_BROKEN)
        self._buffer += chunk
