"""What every gRPC server of the house does alike: TLS, callers, errors, health, metrics, draining."""

from tarnhelm.common.heap import keep_freed_memory
from tarnhelm.common.serve.errors import Faults, status_of
from tarnhelm.common.serve.heap import settle_collector
from tarnhelm.common.serve.lifecycle import Running, Service, run, serve, start
from tarnhelm.common.serve.metrics import CallMetrics, MetricsServer
from tarnhelm.common.serve.settings import ServerSettings, add_arguments, is_loopback, settings_from

__all__ = [
    "CallMetrics",
    "Faults",
    "MetricsServer",
    "Running",
    "ServerSettings",
    "Service",
    "add_arguments",
    "is_loopback",
    "keep_freed_memory",
    "run",
    "serve",
    "settings_from",
    "settle_collector",
    "start",
    "status_of",
]
