"""STA: the state on a server."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import RETRY, USAGE, error_code

STATE_AWAY = error_code(
    "STA-001",
    RETRY,
    "The state's database cannot be reached, or is overloaded.",
    "Look at PostgreSQL; work goes on when it answers.",
)
STATE_VERSION = error_code(
    "STA-002",
    USAGE,
    "The state's tables are of version {found}, this software wants {wanted}.",
    "Run the newest software; to bring older tables up to date, start it once with the owner's role.",
)
