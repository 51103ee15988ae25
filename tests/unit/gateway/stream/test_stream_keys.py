"""Keyed names of the stream, and the key that signs tickets."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.keys import GatewayKeys, ticket_key


def test_digests_are_keyed_by_gateway_and_project():
    one, other = GatewayKeys(b"k" * 32), GatewayKeys(b"l" * 32)
    assert one.uid_digest("p", "1.2") == one.uid_digest("p", "1.2")
    assert len({one.uid_digest("p", "1.2"), one.uid_digest("q", "1.2"), other.uid_digest("p", "1.2")}) == 3
    assert one.uid_digest("p", "") == b""
    assert len({one.volume_id("p", "1", "23"), one.volume_id("p", "12", "3"), one.volume_id("q", "1", "23")}) == 3


def test_a_mounted_secret_is_read_and_a_short_one_refused(tmp_path):
    path = tmp_path / "gateway.key"
    path.write_bytes(b"k" * 32)
    assert GatewayKeys.read(path).uid_digest("p", "1") == GatewayKeys(b"k" * 32).uid_digest("p", "1")
    path.write_bytes(b"k" * 31)
    for bad in (path, tmp_path / "none"):
        with pytest.raises(TarnhelmError):
            GatewayKeys.read(bad)


def test_the_key_of_tickets_is_pem_or_raw(tmp_path):
    key = Ed25519PrivateKey.generate()
    path = tmp_path / "ticket.key"
    path.write_bytes(key.private_bytes_raw())
    assert ticket_key(path).private_bytes_raw() == key.private_bytes_raw()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert ticket_key(path).private_bytes_raw() == key.private_bytes_raw()
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for bad in (b"", b"nonsense", other):
        path.write_bytes(bad)
        with pytest.raises(TarnhelmError):
            ticket_key(path)
    with pytest.raises(TarnhelmError):
        ticket_key(tmp_path / "none")
