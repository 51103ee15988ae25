"""One YAML file for a deployment: read, checked, and made into the parts that it describes."""

from __future__ import annotations

from tarnhelm.gateway.config.loading import load_config, write_config
from tarnhelm.gateway.config.model import GatewayConfig, with_ids
from tarnhelm.gateway.config.reading import ConfigError, ConfigProblem, parse_config, schema_of

__all__ = [
    "ConfigError",
    "ConfigProblem",
    "GatewayConfig",
    "load_config",
    "parse_config",
    "schema_of",
    "with_ids",
    "write_config",
]
