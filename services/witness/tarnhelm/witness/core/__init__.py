"""The witness as a library: it knows neither gRPC nor files of settings, and shares no code with the cleaner."""

from tarnhelm.witness.core.finding import Finding
from tarnhelm.witness.core.pixels import Mask
from tarnhelm.witness.core.policy import Policy
from tarnhelm.witness.core.seal import SealCheck
from tarnhelm.witness.core.verdict import Verdict, Witness, sign_verdicts, signed_bytes, verify_verdict

__all__ = [
    "Finding",
    "Mask",
    "Policy",
    "SealCheck",
    "Verdict",
    "Witness",
    "sign_verdicts",
    "signed_bytes",
    "verify_verdict",
]
