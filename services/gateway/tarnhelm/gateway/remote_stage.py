"""A stage behind gRPC, as the pumps see it."""

from __future__ import annotations

from tarnhelm.gateway.stage_calls import JudgeCall, JudgeClient, Mask, StageCall, StageClient, counts_as_attempt

__all__ = ["JudgeCall", "JudgeClient", "Mask", "StageCall", "StageClient", "counts_as_attempt"]
