"""Derivation, permutation, projects, the ledger and the assigner: a library without a server."""
