"""The topics of the gateway: the allow-list, and how each has to be.

Only ``ingest`` and ``clean`` carry objects; the first is identified, so it lives hours, not days, and is deleted
up to what was committed. Between admission and release only references travel.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.broker.base import MAX_ENVELOPE_BYTES, MAX_VALUE_BYTES

__all__ = ["TOPICS", "TopicReport", "TopicSpec", "by_name", "with_partitions"]

_HOUR: Final = 3600.0
_NAME: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_MAX_PARTITIONS: Final = 1024


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """How one topic has to be.

    Attributes
    ----------
    retention_seconds
        Age at which a record may be deleted, whether somebody has read it or not.
    identified
        Whether its records identify people: such a topic is deleted up to the committed position too.
    configs
        Further settings of a Kafka topic, by their Kafka names.
    """

    name: str
    partitions: int = 6
    retention_seconds: float = 7 * 24 * _HOUR
    max_value_bytes: int = MAX_VALUE_BYTES
    identified: bool = False
    configs: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sound = _NAME.fullmatch(self.name) and self.name not in {".", ".."}
        sound = sound and 1 <= self.partitions <= _MAX_PARTITIONS and self.retention_seconds > 0
        if not sound or not 1 <= self.max_value_bytes <= MAX_VALUE_BYTES:
            raise TarnhelmError(errors.BROKER_SETTINGS)

    def kafka_configs(self) -> dict[str, str]:
        """Return the settings of the topic by their Kafka names."""
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(round(self.retention_seconds * 1000)),
            "max.message.bytes": str(MAX_VALUE_BYTES + MAX_ENVELOPE_BYTES + _BATCH_OVERHEAD),
            **self.configs,
        }


_BATCH_OVERHEAD: Final = 108 * 1024
"""With it a batch may have 1 MiB, as Kafka allows by default; several small records share one."""


@dataclass(frozen=True, slots=True)
class TopicReport:
    """What ``ensure`` found or did.

    Attributes
    ----------
    created
        Whether it was made now.
    missing
        Whether it is not there, because nothing was to be made.
    differences
        Names of the settings that are not as they should be → (wanted, found).
    """

    name: str
    created: bool = False
    missing: bool = False
    differences: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def as_wanted(self) -> bool:
        """Whether the topic can be used as it is."""
        return not self.missing and not self.differences


TOPICS: Final = (
    TopicSpec("ingest", retention_seconds=24 * _HOUR, identified=True),
    TopicSpec("objects.metadata"),
    TopicSpec("objects.ocr"),
    TopicSpec("volumes.imaging"),
    TopicSpec("objects.finalise"),
    TopicSpec("objects.witness"),
    TopicSpec("objects.release"),
    TopicSpec("events", retention_seconds=30 * 24 * _HOUR),
    TopicSpec("clean", retention_seconds=3 * 24 * _HOUR),
    TopicSpec("dead-letter", partitions=1, retention_seconds=24 * _HOUR, identified=True),
)
"""The topics that the gateway needs. A message that cannot be read may be anything, so dead letters are identified."""


def by_name(specs: Iterable[TopicSpec]) -> Mapping[str, TopicSpec]:
    """Return the allow-list; raises BRK-006 for a name that stands twice."""
    specs = tuple(specs)
    found = {spec.name: spec for spec in specs}
    if len(found) != len(specs):
        raise TarnhelmError(errors.BROKER_SETTINGS)
    return MappingProxyType(found)


def with_partitions(specs: Iterable[TopicSpec], partitions: int) -> tuple[TopicSpec, ...]:
    """Return the same topics with another number of partitions, but for those that have one on purpose."""
    return tuple(spec if spec.partitions == 1 else replace(spec, partitions=partitions) for spec in specs)
