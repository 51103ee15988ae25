"""References to objects of a bucket; the host is the configured endpoint and no other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.blobs.s3_client import S3Place, code_of, connect, s3_errors
from tarnhelm.gateway.doors.reference_uri import segments_of

if TYPE_CHECKING:
    from tarnhelm.gateway.doors.ingest_settings import S3References

__all__ = ["S3Source"]

_PIECE_BYTES: Final = 1024 * 1024
_GONE: Final = frozenset({"NoSuchKey", "NoSuchBucket", "AccessDenied", "403", "404", "InvalidObjectState"})


class S3Source:
    """One prefix of a bucket; safe among threads."""

    def __init__(self, settings: S3References) -> None:
        url = urlsplit(settings.prefix)
        self._bucket = url.netloc
        self._base = url.path.lstrip("/")
        self._client = connect(
            S3Place(
                settings.endpoint,
                self._bucket,
                access_key_file=settings.access_key_file,
                secret_key_file=settings.secret_key_file,
                region=settings.region,
                ca_file=settings.ca_file,
                virtual_host=settings.virtual_host,
            )
        )

    def pieces(self, rest: str, size: int) -> Iterator[bytes]:
        """Yield one object's bytes."""
        key = self._base + "/".join(segments_of(rest))
        try:
            with s3_errors(), self._asked(key, size) as body:
                while piece := body.read(_PIECE_BYTES):
                    yield piece
        except TarnhelmError as error:
            if error.code.startswith("BLB-"):
                raise TarnhelmError(errors.REFERENCE_AWAY) from None
            raise

    def _asked(self, key: str, size: int) -> Any:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if code_of(error) in _GONE:
                raise TarnhelmError(errors.REFERENCE_GONE) from None
            raise
        if answer["ContentLength"] != size:
            answer["Body"].close()
            raise TarnhelmError(errors.PAYLOAD_DIFFERS)
        return answer["Body"]
