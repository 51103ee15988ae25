"""One run over files of this machine, to its end: what ``tarnhelm clean`` drives. A service's stream is :mod:`tarnhelm.gateway.stream`."""
