"""The doors: one for each protocol by which objects come in, all before one admission."""
