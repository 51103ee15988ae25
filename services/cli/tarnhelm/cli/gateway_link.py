"""How commands reach a running gateway: options, a channel to its administration, errors with their codes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints

import typer

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

__all__ = ["CaFile", "CertificateFile", "Gateway", "KeyFile", "Link", "ServerName", "TokenFile", "linked", "reachable"]

Gateway = Annotated[
    str, typer.Option("--gateway", metavar="HOST:PORT", help="Ask the administration of a running gateway.")
]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", metavar="FILE", help="A caller's token; on the gateway's machine only.")
]
CaFile = Annotated[Path | None, typer.Option("--ca-file", metavar="PEM", help="Who signed the gateway's certificate.")]
CertificateFile = Annotated[Path | None, typer.Option("--certificate-file", metavar="PEM", help="Your certificate.")]
KeyFile = Annotated[Path | None, typer.Option("--key-file", metavar="PEM", help="Its key.")]
ServerName = Annotated[
    str, typer.Option("--server-name", metavar="NAME", help="Name in the gateway's certificate, if not HOST.")
]
_LINK: Final[dict[str, tuple[Any, Any]]] = {
    "gateway": (Gateway, ""),
    "token_file": (TokenFile, None),
    "ca_file": (CaFile, None),
    "certificate_file": (CertificateFile, None),
    "key_file": (KeyFile, None),
    "server_name": (ServerName, ""),
}
_SECONDS: Final = 300.0


class Link:
    """Calls of the admin service.

    Each call raises TarnhelmError with the code that the service gave, or ``WEB-023`` where it is away.
    """

    def __init__(self, stub: Any, metadata: Any) -> None:
        self._stub = stub
        self._metadata = metadata

    def ask(self, method: str, request: Any) -> Any:
        """Call one method."""
        with _errors():
            return getattr(self._stub, method)(request, timeout=_SECONDS, metadata=self._metadata)

    def follow(self, method: str, request: Any) -> Generator[Any, None, None]:
        """Call one that answers again and again."""
        with _errors():
            call = getattr(self._stub, method)(request, metadata=self._metadata)
            try:
                yield from call
            finally:
                call.cancel()


@contextmanager
def linked(
    gateway: str,
    token_file: Path | None = None,
    ca_file: Path | None = None,
    certificate_file: Path | None = None,
    key_file: Path | None = None,
    server_name: str = "",
) -> Iterator[Link]:
    """Open a channel to a gateway's administration; raises ``WEB-024`` for options that do not fit together."""
    from tarnhelm.v1 import admin_pb2_grpc  # noqa: PLC0415 - commands of one machine need no gRPC

    from tarnhelm.gateway.admin.client import channel_to, metadata_for, token_of  # noqa: PLC0415 - same
    from tarnhelm.gateway.admin.settings import AdminAddress  # noqa: PLC0415 - same

    address = AdminAddress(gateway, ca_file, certificate_file, key_file, server_name, token_file)
    channel = channel_to(address, asynchronous=False)
    try:
        yield Link(admin_pb2_grpc.AdminServiceStub(channel), metadata_for(token_of(address)))
    finally:
        channel.close()


@contextmanager
def _errors() -> Iterator[None]:
    import grpc  # noqa: PLC0415 - commands of one machine need no gRPC

    from tarnhelm.gateway.admin.client import error_of  # noqa: PLC0415 - same

    try:
        yield
    except grpc.RpcError as error:
        raise error_of(error) from None


def reachable(remote: Callable[..., None]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command of this machine a form that asks a gateway, with ``--gateway`` and its options.

    ``remote`` is called with a :class:`Link` and the parameters that it names; those of the command that it does not name
    are refused beside ``--gateway``, and those that only it names are refused without.
    """
    remote_hints = get_type_hints(remote, include_extras=True)
    remote_names = [name for name in inspect.signature(remote).parameters if name != "link"]

    def decorate(local: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(local, include_extras=True)
        parameters = dict(inspect.signature(local).parameters)
        required = {name for name, one in parameters.items() if one.default is one.empty and name != "context"}
        merged: dict[str, inspect.Parameter] = {}
        for name, one in parameters.items():
            default = one.default if name not in required or name in ("context", "entry") else _blank(hints[name])
            merged[name] = inspect.Parameter(name, one.KEYWORD_ONLY, default=default, annotation=hints[name])
        for name in remote_names:
            if name not in merged:
                default = inspect.signature(remote).parameters[name].default
                merged[name] = inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=remote_hints[name]
                )
        for name, (annotation, default) in _LINK.items():
            merged[name] = inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
            )

        def command(**given: Any) -> None:
            link = {name: given.pop(name) for name in _LINK}
            if not link["gateway"]:
                if any(link.values()) or _given_beside(given, merged, set(merged) - set(parameters) - set(_LINK)):
                    raise TarnhelmError(errors.WEB_SETTINGS)
                missing = sorted(name for name in required if given.get(name) in ("", [], None))
                if missing:
                    raise typer.BadParameter("Needed: " + ", ".join(_shown(name) for name in missing))
                local(**{name: value for name, value in given.items() if name in parameters})
                return
            only_here = set(parameters) - set(remote_names) - {"context"}
            if _given_beside(given, merged, only_here):
                raise typer.BadParameter("Not with --gateway: " + ", ".join(_shown(name) for name in sorted(only_here)))
            with linked(**link) as opened:
                remote(opened, **{name: given[name] for name in remote_names})

        ordered = sorted(merged.values(), key=lambda one: one.default is not inspect.Parameter.empty)
        command.__doc__ = local.__doc__
        command.__name__ = local.__name__
        command.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
        command.__annotations__ = {one.name: one.annotation for one in ordered}
        return command

    return decorate


def _blank(hint: Any) -> Any:
    base = getattr(hint, "__origin__", hint)
    return [] if "list" in str(base) else ""


def _given_beside(given: dict[str, Any], merged: dict[str, inspect.Parameter], names: set[str]) -> bool:
    return any(given.get(name) not in ("", [], None, False, merged[name].default) for name in names)


def _shown(name: str) -> str:
    return {"ids": "ID...", "entry": "ID"}.get(name, f"--{name.replace('_', '-')}")
