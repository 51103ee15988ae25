"""``ensure`` on Apache Kafka: create what is missing, compare the rest, delete and change nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType

from tarnhelm.gateway.broker.topics import TopicReport

if TYPE_CHECKING:
    from tarnhelm.gateway.broker.kafka.settings import KafkaSettings
    from tarnhelm.gateway.broker.topics import TopicSpec

__all__ = ["ensure_topics"]

_MIN_IN_SYNC: Final = "min.insync.replicas"


def ensure_topics(admin: Any, specs: Iterable[TopicSpec], settings: KafkaSettings, *, apply: bool) -> list[TopicReport]:
    """Create and compare; two processes may do it at once.

    Parameters
    ----------
    admin
        A ``KafkaAdminClient``.
    """
    specs = list(specs)
    found = _found(admin, specs)
    missing = [spec for spec in specs if spec.name not in found]
    created: set[str] = set()
    if apply and missing:
        created = {spec.name for spec in missing if _create(admin, spec, settings)}
        admin.wait_for_topics([spec.name for spec in missing])
        found = _found(admin, specs)
    configs = _configs(admin, list(found))
    return [_report(spec, settings, found.get(spec.name), configs, created) for spec in specs]


def _found(admin: Any, specs: Iterable[TopicSpec]) -> dict[str, list[Any]]:
    found = {}
    for topic in admin.describe_topics([spec.name for spec in specs]):
        code = topic["error_code"]
        if code and kafka_errors.for_code(code) is not kafka_errors.UnknownTopicOrPartitionError:
            raise kafka_errors.for_code(code)
        if not code:
            found[topic["name"]] = topic["partitions"]
    return found


def _create(admin: Any, spec: TopicSpec, settings: KafkaSettings) -> bool:
    configs = spec.kafka_configs()
    if settings.min_in_sync:
        configs[_MIN_IN_SYNC] = str(settings.min_in_sync)
    options = {
        "num_partitions": spec.partitions,
        "replication_factor": settings.replication or -1,
        "configs": configs,
    }
    try:
        admin.create_topics({spec.name: options})
    except kafka_errors.TopicAlreadyExistsError:
        return False  # somebody else was faster
    return True


def _configs(admin: Any, names: list[str]) -> Mapping[str, Mapping[str, Any]]:
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    described: dict[str, dict[str, dict[str, Any]]] = admin.describe_configs(resources, config_filter="all")
    return described.get("topic", {})


def _report(
    spec: TopicSpec,
    settings: KafkaSettings,
    partitions: list[Any] | None,
    configs: Mapping[str, Mapping[str, Any]],
    created: set[str],
) -> TopicReport:
    if partitions is None:
        return TopicReport(spec.name, missing=True)
    wanted = {"partitions": str(spec.partitions), **spec.kafka_configs()}
    has = {name: str(entry["value"]) for name, entry in configs.get(spec.name, {}).items()}
    has["partitions"] = str(len(partitions))
    if settings.replication:
        wanted["replication"] = str(settings.replication)
        has["replication"] = str(min(len(one["replica_nodes"]) for one in partitions))
    if settings.min_in_sync:
        wanted[_MIN_IN_SYNC] = str(settings.min_in_sync)
    differences = {name: (value, has.get(name, "")) for name, value in wanted.items() if has.get(name) != value}
    return TopicReport(spec.name, created=spec.name in created, differences=differences)
