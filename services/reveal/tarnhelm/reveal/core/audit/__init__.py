"""The audit: one chain for each writer, signed heads that are kept elsewhere, and what checks them."""
