"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# How long one example takes says nothing on a machine that does other things; pytest's own time-out bounds a test.
settings.register_profile("tarnhelm", deadline=None)
settings.load_profile("tarnhelm")
