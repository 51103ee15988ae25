"""A stage as a gRPC service: the protocol's side of it, whatever the stage does.

A server names the factory of its core and gets the rest from here: bounds, spooling, workers, questions to the
assigner, results. The messages are converted in :mod:`tarnhelm.common.stage_service.convert`, for callers too.
"""
