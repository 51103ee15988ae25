"""A ticket says what the gateway signed, and nothing else."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.tickets import LONGEST_LIFETIME_SECONDS, SKEW_SECONDS, TicketIssuer, TicketReader

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
NOW = 1_700_000_000


def issuer(key=KEY, now=NOW, **changes):
    return TicketIssuer(key, clock=lambda: now, random=lambda n: b"\x07" * n, **changes)


def reader(*keys, now=NOW):
    return TicketReader([key.public_key().public_bytes_raw() for key in keys or (KEY,)], clock=lambda: now)


def code(call):
    with pytest.raises(TarnhelmError) as found:
        call()
    return found.value.code


def test_a_ticket_says_what_was_signed():
    ticket = reader().read(issuer(lifetime_seconds=60).issue("ab" * 16, "object-1", questions=3))
    assert (ticket.project, ticket.object_id, ticket.expires, ticket.questions) == ("ab" * 16, "object-1", NOW + 60, 3)


def test_two_tickets_for_one_object_have_names_of_their_own():
    fresh = TicketIssuer(KEY)
    read = TicketReader([KEY.public_key().public_bytes_raw()]).read
    assert read(fresh.issue("p", "o")).digest != read(fresh.issue("p", "o")).digest


@given(st.data())
def test_a_changed_byte_anywhere_is_refused(data):
    ticket = bytearray(issuer().issue("ab" * 16, "object-1"))
    place = data.draw(st.integers(0, len(ticket) - 1))
    ticket[place] ^= data.draw(st.integers(1, 255))
    assert code(lambda: reader().read(bytes(ticket))) == "LNK-040"


@given(st.binary(max_size=600))
def test_bytes_that_are_no_ticket_are_refused(data):
    assert code(lambda: reader().read(data)) == "LNK-040"


def test_a_cut_or_lengthened_ticket_is_refused():
    ticket = issuer().issue("p", "o")
    for changed in (ticket[:-1], ticket + b"\0", ticket[1:], b""):
        assert code(lambda changed=changed: reader().read(changed)) == "LNK-040"


def test_a_ticket_of_an_unknown_gateway_is_refused():
    assert code(lambda: reader(OTHER).read(issuer().issue("p", "o"))) == "LNK-040"


def test_while_a_key_is_changed_both_are_good():
    assert reader(OTHER, KEY).read(issuer().issue("p", "o")).object_id == "o"
    assert reader(OTHER, KEY).read(issuer(OTHER).issue("p", "o")).object_id == "o"


@pytest.mark.parametrize(
    ("late", "good"),
    [
        (0, True),  # fresh
        (60 + SKEW_SECONDS, True),  # expired, within what clocks may differ
        (61 + SKEW_SECONDS, False),
        (-3600, True),  # this clock is behind: the ticket is not yet old
    ],
)
def test_a_ticket_expires_by_the_readers_clock_with_some_patience(late, good):
    ticket = issuer(lifetime_seconds=60).issue("p", "o")
    if good:
        assert reader(now=NOW + late).read(ticket)
    else:
        assert code(lambda: reader(now=NOW + late).read(ticket)) == "LNK-041"


def test_a_ticket_from_far_ahead_shows_a_wrong_clock_and_is_refused():
    ticket = issuer(lifetime_seconds=LONGEST_LIFETIME_SECONDS).issue("p", "o")
    assert reader(now=NOW - SKEW_SECONDS).read(ticket)
    assert code(lambda: reader(now=NOW - SKEW_SECONDS - 1).read(ticket)) == "LNK-040"


@pytest.mark.parametrize("lifetime", [0, -1, LONGEST_LIFETIME_SECONDS + 1])
def test_no_ticket_is_signed_for_longer(lifetime):
    with pytest.raises(ValueError, match="lifetime"):
        issuer(lifetime_seconds=lifetime)
