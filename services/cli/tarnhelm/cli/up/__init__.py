"""``tarnhelm up``: the whole gateway on one machine, as a group of processes."""
