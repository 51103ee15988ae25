"""Where a bucket is; apart from the client, so that a configuration can be read without one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["S3Place"]


@dataclass(frozen=True, slots=True)
class S3Place:
    """Where the blobs are, and who asks.

    Attributes
    ----------
    endpoint
        ``https://host[:port]``; always named, for Amazon's too, so that nothing but the settings chooses the host.
    prefix
        Of all keys in the bucket, without a slash at its end.
    access_key_file, secret_key_file
        One line each, in files that others may not read.
    ca_file
        Certificates that the server's is checked against; without it those of the system.
    virtual_host
        The bucket is a part of the host's name, as Amazon wants it.
    """

    endpoint: str
    bucket: str
    access_key_file: Path
    secret_key_file: Path
    prefix: str = ""
    region: str = "us-east-1"
    ca_file: Path | None = None
    virtual_host: bool = False
