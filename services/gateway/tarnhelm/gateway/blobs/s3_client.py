"""A client for one bucket of one S3 server: nothing out of the environment, and no redirect followed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError
from urllib3.exceptions import HTTPError

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.blobs.s3_place import S3Place

__all__ = ["S3Place", "code_of", "connect", "s3_errors"]

_OTHERS: Final = 0o007
_FULL: Final = frozenset(
    {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "XAmzStorageFull", "EntityTooLarge", "507"}
)


def connect(place: S3Place, *, connections: int = 16) -> Any:
    """Return a client that is safe among threads.

    Raises
    ------
    TarnhelmError
        BLB-007 where the endpoint is none, or a key's file is missing, empty or open to others.
    """
    allowed = _hosts(place)
    inner = botocore.session.Session()
    inner.set_config_variable("config_file", os.devnull)
    inner.set_config_variable("credentials_file", os.devnull)
    session = boto3.session.Session(
        aws_access_key_id=_line(place.access_key_file),
        aws_secret_access_key=_line(place.secret_key_file),
        region_name=place.region,
        botocore_session=inner,
    )
    client = session.client(
        "s3",
        endpoint_url=place.endpoint,
        verify=str(place.ca_file) if place.ca_file is not None else True,
        config=Config(
            connect_timeout=5,
            read_timeout=60,
            max_pool_connections=connections,
            retries={"mode": "standard", "total_max_attempts": 3},
            proxies={},
            ignore_configured_endpoint_urls=True,
            s3={"addressing_style": "virtual" if place.virtual_host else "path"},
        ),
    )

    def only_there(request: Any, **_: Any) -> None:
        url = urlsplit(request.url)
        if (url.scheme, url.netloc) not in allowed:
            raise TarnhelmError(errors.BLOB_STORE_AWAY)

    client.meta.events.register("before-send.s3", only_there)
    return client


@contextmanager
def s3_errors() -> Iterator[None]:
    """Turn what the library raises, with keys and hosts in its text, into BLB-001 and BLB-002."""
    try:
        yield
    except ClientError as error:
        full = code_of(error) in _FULL
        raise TarnhelmError(errors.BLOB_NO_SPACE if full else errors.BLOB_STORE_AWAY) from None
    except (BotoCoreError, HTTPError, ReadTimeoutError, OSError):
        raise TarnhelmError(errors.BLOB_STORE_AWAY) from None


def code_of(error: ClientError) -> str:
    """Return S3's code of an error, as ``NoSuchKey``; of an answer without a body, its HTTP status."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _hosts(place: S3Place) -> frozenset[tuple[str, str]]:
    url = urlsplit(place.endpoint)
    if url.scheme not in ("http", "https") or not url.netloc or url.path not in ("", "/") or url.username:
        raise TarnhelmError(errors.BLOB_STORE_UNUSABLE)
    return frozenset({(url.scheme, url.netloc), (url.scheme, f"{place.bucket}.{url.netloc}")})


def _line(path: Path) -> str:
    try:
        with path.open(encoding="ascii") as stream:
            mode, text = os.fstat(stream.fileno()).st_mode, stream.read(4096).strip()
    except (OSError, ValueError):
        raise TarnhelmError(errors.BLOB_STORE_UNUSABLE) from None
    if not text or mode & _OTHERS:
        raise TarnhelmError(errors.BLOB_STORE_UNUSABLE)
    return text
