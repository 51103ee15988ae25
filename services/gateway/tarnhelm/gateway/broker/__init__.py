"""The broker seam: one protocol, an embedded broker for one machine, Apache Kafka for many.

The Kafka client is an extra and is imported only by :mod:`tarnhelm.gateway.broker.kafka`.
"""

from __future__ import annotations

from tarnhelm.gateway.broker.base import (
    MAX_VALUE_BYTES,
    Broker,
    Consumer,
    ConsumerSettings,
    Headers,
    Message,
    Partition,
    Position,
)
from tarnhelm.gateway.broker.topics import TOPICS, TopicReport, TopicSpec

__all__ = [
    "MAX_VALUE_BYTES",
    "TOPICS",
    "Broker",
    "Consumer",
    "ConsumerSettings",
    "Headers",
    "Message",
    "Partition",
    "Position",
    "TopicReport",
    "TopicSpec",
]
