"""Keyed pseudonyms for a project, and the sealed way back. Nothing in this package opens a sealed record."""
