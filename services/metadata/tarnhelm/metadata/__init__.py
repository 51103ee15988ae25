"""Cleans the headers of medical images: the core is a library, the server a thin shell."""
