"""What every user of the Transit engine shares: requests that the server takes, and answers that are understood."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tarnhelm.common.errors import VAULT_REFUSED, VAULT_SETTINGS, VAULT_UNAVAILABLE, TarnhelmError
from tarnhelm.linkage.vaults.transit_names import cipher_version, destroyed_mark

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tarnhelm.linkage.vaults.session import Answer, VaultSession

__all__ = ["LARGEST_BATCH", "LARGEST_BODY", "as_text", "batches", "ciphertexts", "decided", "is_destroyed"]

LARGEST_BATCH: Final = 200
"""Items in one request: OpenBao refuses a body of more than a thousand JSON strings, and an item has four."""
LARGEST_BODY: Final = 8 << 20
"""Bytes of payload in one request, a quarter of what OpenBao takes."""

_Item = TypeVar("_Item")


def is_destroyed(session: VaultSession, mount: str, project: str) -> bool:
    """Whether the project has the mark of the destroyed; any role that may sign with root keys can see it."""
    body = {"input": "", "key_version": "1"}
    answer = session.request("post", f"{mount}/hmac/{destroyed_mark(project)}", body)
    return not answer.no_key and decided(answer).done


def batches(items: Sequence[_Item], sizes: Sequence[int]) -> Iterator[Sequence[_Item]]:
    """Cut a list into pieces that the server takes: by number, and by bytes where items are long."""
    start, held = 0, 0
    for position, size in enumerate(sizes):
        if position > start and (position - start >= LARGEST_BATCH or held + size > LARGEST_BODY):
            yield items[start:position]
            start, held = position, 0
        held += size
    if start < len(items):
        yield items[start:]


def decided(answer: Answer) -> Answer:
    """Give the answer back where the server did what it was asked; LNK-030 where its policy forbids it, else LNK-031."""
    if answer.denied:
        raise TarnhelmError(VAULT_REFUSED)
    if not answer.done:
        raise TarnhelmError(VAULT_SETTINGS)
    return answer


def ciphertexts(answer: Answer, wanted: int) -> list[bytes]:
    """Give the ciphertexts of a batch in their order; LNK-007 for an answer that is not one of the engine."""
    results: Any = answer.data.get("batch_results")
    if not isinstance(results, list) or len(results) != wanted:
        raise TarnhelmError(VAULT_UNAVAILABLE)
    try:
        found = [result["ciphertext"].encode("ascii") for result in results]
    except (KeyError, TypeError, AttributeError, UnicodeEncodeError):
        found = [b""]
    if not all(cipher_version(sealed) for sealed in found):
        raise TarnhelmError(VAULT_UNAVAILABLE)
    return found


def as_text(data: bytes) -> str:
    """Give base64, as the engine takes bytes."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")
