"""Makes the library's clients, and leaves nothing behind when that fails.

A client starts its I/O thread before it has found a broker. When there is none, its constructor raises and nobody
holds what could be closed; a gateway that waits for its broker would collect threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from kafka.net.compat import KafkaNetClient

from tarnhelm.gateway.broker.kafka.faults import mapped

__all__ = ["make_client"]

T = TypeVar("T")


def make_client(kind: Callable[..., T], network: Callable[..., Any] = KafkaNetClient, **configs: Any) -> T:
    """Return ``kind(**configs)``; raises the catalogue's error, and then no thread or socket of it is left.

    Parameters
    ----------
    network
        Makes the client's network side.
    """
    nets: list[Any] = []

    def net(*args: Any, **options: Any) -> Any:
        made = network(*args, **options)
        nets.append(made)
        return made

    with mapped():
        try:
            return kind(**configs, kafka_client=net)
        except BaseException:
            for one in nets:
                one.close()
            raise
