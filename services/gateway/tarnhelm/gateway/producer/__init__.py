"""Sending objects to the topic ``ingest``, and reading released ones from the topic ``clean``."""
