"""The command ``tarnhelm-steward``."""
