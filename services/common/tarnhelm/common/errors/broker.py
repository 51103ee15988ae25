"""BRK: the broker between the parts of the gateway."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import QUARANTINE, RETRY, USAGE, error_code

BROKER_AWAY = error_code(
    "BRK-001",
    RETRY,
    "The broker cannot be reached.",
    "Wait; work goes on when it is back, and nothing is lost meanwhile.",
)
MESSAGE_TOO_LARGE = error_code(
    "BRK-002",
    QUARANTINE,
    "A message of {size} bytes is larger than the {limit} bytes that one may have.",
    "Send it in chunks, or by reference.",
)
TOPIC_NOT_ALLOWED = error_code(
    "BRK-003",
    USAGE,
    "The topic is not one of this gateway's.",
    "Name a topic of the list that the gateway was started with.",
)
BROKER_REFUSES = error_code(
    "BRK-004",
    RETRY,
    "The broker lets this gateway not in, or not do this.",
    "Look at its name, certificate and password, and at the broker's access rules.",
)
TOPIC_MISSING = error_code("BRK-005", RETRY, "The broker does not have the topic.", "Run tarnhelm topics ensure.")
BROKER_SETTINGS = error_code(
    "BRK-006",
    USAGE,
    "The settings of the broker do not fit together, or a file that they name cannot be used.",
    "Look at addresses, certificate files and their permissions.",
)
BROKER_FAULT = error_code(
    "BRK-007", RETRY, "The broker answered with an error.", "Look at the broker's own log; the request is made again."
)
BROKER_BUSY = error_code(
    "BRK-008",
    RETRY,
    "{size} bytes wait for the broker's acknowledgement, and no more are taken.",
    "Wait: the sender is told to slow down.",
)
TOPICS_DIFFER = error_code(
    "BRK-009",
    USAGE,
    "{count} topics are missing or are not as the gateway needs them.",
    "Change them with the broker's own tools: nothing was changed or deleted here.",
)
BROKER_UNREADABLE = error_code(
    "BRK-010",
    USAGE,
    "The embedded broker's files cannot be read.",
    "Restore its folder, or move it away and recover from the state.",
)
BROKER_CLOSED = error_code("BRK-011", RETRY, "The broker's client was closed.", "Nothing to do: the process is ending.")
BROKER_EXTRA_MISSING = error_code(
    "BRK-012",
    USAGE,
    "The client of Apache Kafka is not installed.",
    "Install the extra: pip install 'tarnhelm[kafka]'.",
)
TOPIC_TOO_NARROW = error_code(
    "BRK-013",
    RETRY,
    "The broker's topic takes smaller messages only than the gateway has to send.",
    "Compare with tarnhelm topics ensure --check, then raise its max.message.bytes.",
)
