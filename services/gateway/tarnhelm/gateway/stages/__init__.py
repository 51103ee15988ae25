"""How a stage and the witness are reached: in worker processes of this machine, or behind gRPC; one contract for all."""
