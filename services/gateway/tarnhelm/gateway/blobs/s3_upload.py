"""One object on its way into a bucket: a single put, or a multipart upload whose first part goes last."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.blobs.s3_client import code_of, s3_errors

__all__ = ["PART_BYTES", "Upload"]

PART_BYTES: Final = 8 * 1024 * 1024
_MAX_PARTS: Final = 10_000
_LOST: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409", "NoSuchKey"})


class Upload:
    """Takes an object in and stores it if the condition holds; holds two parts of 8 MiB at most.

    The begin of an object is known last, so the first part is kept until :meth:`finish`; parts may arrive in any
    order.
    """

    def __init__(self, client: Any, bucket: str, key: str) -> None:
        self._client = client
        self._where = {"Bucket": bucket, "Key": key}
        self._first = bytearray()
        self._part = bytearray()
        self._upload_id = ""
        self._etags: dict[int, str] = {}

    def write(self, data: bytes) -> None:
        """Take the next bytes; a full part is sent."""
        view = memoryview(data)
        room = PART_BYTES - len(self._first)
        self._first += view[:room]
        view = view[room:]
        while view:
            if len(self._part) == PART_BYTES:
                self._send_part()
            room = PART_BYTES - len(self._part)
            self._part += view[:room]
            view = view[room:]

    def copy(self, etag: str, begin: int, end: int) -> None:
        """Take the next part out of the object that stands under the key, on the server's side."""
        self._begin()
        number = self._next_number()
        with s3_errors():
            answer = self._client.upload_part_copy(
                **self._where,
                UploadId=self._upload_id,
                PartNumber=number,
                CopySource=self._where,
                CopySourceRange=f"bytes={begin}-{end - 1}",
                CopySourceIfMatch=etag,
            )
        self._etags[number] = answer["CopyPartResult"]["ETag"]

    def finish(self, head: bytes, condition: dict[str, str]) -> bool:
        """Put ``head`` over the begin and store the object; false where the condition does not hold.

        Parameters
        ----------
        condition
            ``{"IfNoneMatch": "*"}`` or ``{"IfMatch": etag}``.
        """
        if self._upload_id or self._part:
            return self.finish_in_parts(head, condition)
        self._first[: len(head)] = head
        return _unless_lost(lambda: self._put(condition))

    def finish_in_parts(self, head: bytes, condition: dict[str, str]) -> bool:
        """Do the same, as an upload in parts however short it is."""
        self._first[: len(head)] = head
        return _unless_lost(lambda: self._complete(condition))

    def abort(self) -> None:
        """Drop what was sent; does nothing after :meth:`finish` said true."""
        upload_id, self._upload_id = self._upload_id, ""
        if upload_id:
            with suppress(ClientError, BotoCoreError, OSError):
                self._client.abort_multipart_upload(**self._where, UploadId=upload_id)

    def _put(self, condition: dict[str, str]) -> None:
        self._client.put_object(**self._where, Body=self._first, **condition)

    def _complete(self, condition: dict[str, str]) -> None:
        if self._part:
            self._send_part()
        self._begin()
        self._send(1, self._first)
        parts = [{"PartNumber": number, "ETag": self._etags[number]} for number in sorted(self._etags)]
        self._client.complete_multipart_upload(
            **self._where, UploadId=self._upload_id, MultipartUpload={"Parts": parts}, **condition
        )
        self._upload_id = ""

    def _begin(self) -> None:
        if not self._upload_id:
            with s3_errors():
                self._upload_id = self._client.create_multipart_upload(**self._where)["UploadId"]

    def _next_number(self) -> int:
        number = max(self._etags, default=1) + 1
        if number > _MAX_PARTS:
            limit = _MAX_PARTS * PART_BYTES
            raise TarnhelmError(errors.TOO_LARGE, seen=number * PART_BYTES, limit=limit)
        return number

    def _send_part(self) -> None:
        self._begin()
        self._send(self._next_number(), self._part)
        self._part.clear()

    def _send(self, number: int, data: bytearray) -> None:
        with s3_errors():
            answer = self._client.upload_part(**self._where, UploadId=self._upload_id, PartNumber=number, Body=data)
        self._etags[number] = answer["ETag"]


def _unless_lost(store: Callable[[], None]) -> bool:
    """Store; false where somebody else was first, or what stood there has changed or gone."""
    with s3_errors():
        try:
            store()
        except ClientError as error:
            if code_of(error) in _LOST:
                return False
            raise
    return True
