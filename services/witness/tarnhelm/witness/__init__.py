"""The witness: the independent judge of the exact bytes that would be released (DESIGN section 6)."""
