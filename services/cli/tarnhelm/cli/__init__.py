"""The ``tarnhelm`` command: the only package that knows all others."""
