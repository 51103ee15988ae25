"""How both ends of a gRPC connection notice that the other one has vanished without a word.

A machine that lost its power, or a router that forgot a connection, sends no reset. Without keepalive a channel holds
such a connection for ready until the kernel gives up on it, a quarter of an hour later, and every call on it waits for
its whole deadline. So the caller pings while calls are open (gRFC A8), and the server allows that often.
"""

from __future__ import annotations

from typing import Final

__all__ = ["CLIENT_OPTIONS", "SERVER_OPTIONS"]

_PING_MS: Final = 15_000
_ANSWER_MS: Final = 10_000

CLIENT_OPTIONS: Final = (
    ("grpc.keepalive_time_ms", _PING_MS),
    ("grpc.keepalive_timeout_ms", _ANSWER_MS),
    ("grpc.http2.ping_timeout_ms", _ANSWER_MS),  # the core's own is a minute, and it waits that long too
    ("grpc.http2.max_pings_without_data", 0),  # a long look at one object is silent
)
SERVER_OPTIONS: Final = (
    ("grpc.keepalive_time_ms", 2 * _PING_MS),  # lets go of callers that vanished
    ("grpc.keepalive_timeout_ms", _ANSWER_MS),
    ("grpc.http2.ping_timeout_ms", _ANSWER_MS),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", _PING_MS // 3),  # a ping that comes early is no attack
)
