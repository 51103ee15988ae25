"""Bounded worker processes for code that parses hostile files.

A pool owns a fork server of its own, started before the parent has threads, gRPC or torch. The workers it
forks have no way out (no sockets, no programs, few descriptors, bounded memory and time) and no keys: what
needs a key is asked of the parent by an *upcall*. What a worker sends is decoded strictly
(:mod:`tarnhelm.common.sandbox.wire`), because the worker is where a hostile file may have won.
"""

from __future__ import annotations

from tarnhelm.common.sandbox.dispatcher import Dispatcher
from tarnhelm.common.sandbox.pool import PoolSettings, WorkerPool
from tarnhelm.common.sandbox.steps import SteppedCore
from tarnhelm.common.sandbox.wire import Codec, WireError

__all__ = ["Codec", "Dispatcher", "PoolSettings", "SteppedCore", "WireError", "WorkerPool"]
