"""Apache Kafka as the broker; needs the extra ``kafka``."""

from __future__ import annotations

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

try:
    from tarnhelm.gateway.broker.kafka.broker import KafkaBroker
    from tarnhelm.gateway.broker.kafka.settings import KafkaSettings, Sasl
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "kafka":
        raise
    raise TarnhelmError(errors.BROKER_EXTRA_MISSING) from None

__all__ = ["KafkaBroker", "KafkaSettings", "Sasl"]
