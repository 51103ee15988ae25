"""Apache Kafka as the broker; needs the extra ``kafka``.

The settings come without the client, which is imported when :class:`KafkaBroker` is first asked for: most processes of
one machine never do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.broker.kafka.settings import KafkaSettings, Sasl

if TYPE_CHECKING:
    from tarnhelm.gateway.broker.kafka.broker import KafkaBroker

__all__ = ["KafkaBroker", "KafkaSettings", "Sasl"]


def __getattr__(name: str) -> Any:
    if name != "KafkaBroker":
        raise AttributeError(name)
    try:
        from tarnhelm.gateway.broker.kafka.broker import KafkaBroker  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "kafka":
            raise
        raise TarnhelmError(errors.BROKER_EXTRA_MISSING) from None
    return KafkaBroker
