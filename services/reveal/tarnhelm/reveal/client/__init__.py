"""The caller's side of the reveal server."""
