"""What every gRPC server of the house does alike: TLS, callers, errors, health, draining."""

from tarnhelm.common.serve.errors import ErrorInterceptor, status_of
from tarnhelm.common.serve.lifecycle import Running, Service, serve, start
from tarnhelm.common.serve.settings import ServerSettings, add_arguments, settings_from

__all__ = [
    "ErrorInterceptor",
    "Running",
    "ServerSettings",
    "Service",
    "add_arguments",
    "serve",
    "settings_from",
    "start",
    "status_of",
]
