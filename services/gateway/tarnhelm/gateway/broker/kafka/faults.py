"""Kafka's errors in the words of the catalogue; their own texts can hold keys, names and addresses."""

from __future__ import annotations

import contextlib
import logging
import ssl
from collections.abc import Iterator
from typing import Final

from kafka import errors as kafka_errors

from tarnhelm.common import errors
from tarnhelm.common.errors import ErrorCode, TarnhelmError

__all__ = ["fault_of", "mapped", "quieten"]

_REFUSED: Final = (
    kafka_errors.AuthorizationError,
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.IllegalSaslStateError,
    kafka_errors.SecurityDisabledError,
    ssl.SSLError,
)
_TOO_LARGE: Final = (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError)
_SETTINGS: Final = (
    kafka_errors.KafkaConfigurationError,
    kafka_errors.UnsupportedVersionError,
    kafka_errors.UnrecognizedBrokerVersion,
    kafka_errors.InvalidSessionTimeoutError,
    kafka_errors.InvalidGroupIdError,
    kafka_errors.InvalidTopicError,
    kafka_errors.InvalidReplicationFactorError,
    kafka_errors.InvalidConfigurationError,
    kafka_errors.PolicyViolationError,
)


def fault_of(error: BaseException) -> TarnhelmError:
    """Return the catalogue's error for one of Kafka's."""
    return TarnhelmError(_kind(error))


def _kind(error: BaseException) -> ErrorCode:
    if isinstance(error, _REFUSED):
        return errors.BROKER_REFUSES
    if isinstance(error, _TOO_LARGE):
        # Ours are checked before they are sent, so it is the topic that takes less than it should.
        return errors.TOPIC_TOO_NARROW
    if isinstance(error, kafka_errors.UnknownTopicOrPartitionError):
        return errors.TOPIC_MISSING
    if isinstance(error, _SETTINGS):
        return errors.BROKER_SETTINGS
    if isinstance(error, kafka_errors.IllegalStateError):
        return errors.BROKER_CLOSED
    if isinstance(error, OSError) or getattr(error, "retriable", False):
        return errors.BROKER_AWAY
    return errors.BROKER_FAULT


@contextlib.contextmanager
def mapped() -> Iterator[None]:
    """Raise the catalogue's error instead of Kafka's."""
    try:
        yield
    except (kafka_errors.KafkaError, OSError) as error:
        raise fault_of(error) from None


def quieten() -> None:
    """Keep the client's log above DEBUG and INFO: there it prints keys, values and passwords."""
    logger = logging.getLogger("kafka")
    if logger.level < logging.WARNING:
        logger.setLevel(logging.WARNING)
