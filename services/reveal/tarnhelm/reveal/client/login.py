"""``tarnhelm-reveal login``: from a person's key and an identity provider to a kept login."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tarnhelm.common.errors import LOGIN_FAILED, TarnhelmError
from tarnhelm.reveal.identity.flows import Asked, by_browser, by_device
from tarnhelm.reveal.identity.login import Login, nonce_of, statement
from tarnhelm.reveal.identity.token import TokenReader
from tarnhelm.reveal.identity.web import Web, discover
from tarnhelm.reveal.settings import read_secret_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from tarnhelm.reveal.client.settings import RemoteSettings
    from tarnhelm.reveal.core.keyring import PersonKeys
    from tarnhelm.reveal.identity.flows import Show

__all__ = ["Means", "Way", "log_in"]


class Way(StrEnum):
    """How to log in."""

    BROWSER = "browser"
    """A browser on this machine."""
    DEVICE = "device"
    """A browser on any machine, and a code to type there."""


@dataclass(frozen=True, slots=True)
class Means:
    """Clocks, randomness, and how to show something to the person.

    Attributes
    ----------
    clock
        Seconds since 1970.
    ticks
        Seconds that never go back.
    """

    clock: Callable[[], int]
    ticks: Callable[[], float]
    sleep: Callable[[float], None]
    random: Callable[[int], bytes]
    show: Show


def log_in(settings: RemoteSettings, keys: PersonKeys, way: Way, means: Means) -> tuple[Login, str]:
    """Log in; gives the login, and the subject as people are enrolled.

    Raises
    ------
    TarnhelmError
        RVL-041 where the token is not genuine, RVL-043 (RETRY), RVL-044 where the provider refused, it took too
        long, or the token is an answer to another question (its nonce).
    """
    web = Web(settings.identity_ca_file)
    try:
        provider = discover(web, settings.issuer)
        signed = statement(keys, settings.issuer, settings.client, means.clock(), means.random)
        secret = read_secret_line(settings.client_secret_file) if settings.client_secret_file else ""
        asked = Asked(settings.client, nonce_of(signed), secret)
        if way is Way.BROWSER:
            token = by_browser(web, provider, asked, means.show, random=means.random, port=settings.redirect_port)
        else:
            token = by_device(web, provider, asked, means.show, sleep=means.sleep, clock=means.ticks)
        reader = TokenReader(web, settings.issuer, settings.client, clock=means.clock, ticks=means.ticks)
        claims = reader.read(token)
    finally:
        web.close()
    fits = hmac.compare_digest(claims.nonce.encode(), asked.nonce.encode())
    # A provider may leave the nonce out for a device: whether that will do is the server's to say.
    if not fits and (claims.nonce or way is Way.BROWSER):
        raise TarnhelmError(LOGIN_FAILED)
    return Login(token, signed.to_bytes(), claims.expires), claims.subject
