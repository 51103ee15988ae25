"""What Prometheus is told: measured from state, broker and board, in words of closed lists."""

from __future__ import annotations

from tarnhelm.gateway.metrics.gateway import GatewayMetrics
from tarnhelm.gateway.metrics.labels import StrictRegistry, allowed
from tarnhelm.gateway.metrics.names import names_of

__all__ = ["GatewayMetrics", "StrictRegistry", "allowed", "names_of"]
