"""What is on its way out: the queue of the release role, with the manifest's chains and the tombstones."""

from __future__ import annotations

from tarnhelm.gateway.deliveries.base import DeliveryRecord, DeliveryState, DeliveryStore, Planned
from tarnhelm.gateway.deliveries.sqlite import SqliteDeliveries

__all__ = ["DeliveryRecord", "DeliveryState", "DeliveryStore", "Planned", "SqliteDeliveries"]
