"""The command ``tarnhelm-reveal``."""
