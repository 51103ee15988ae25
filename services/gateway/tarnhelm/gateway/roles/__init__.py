"""The processes of a gateway: each runs one role over parts that all of them share.

``python -m tarnhelm.gateway ROLE --config FILE``
"""
