"""The confidentiality profiles of PS3.15 Annex E, by the names that recipes and the command line use."""

from tarnhelm.metadata.core.profiles.combine import ProfileError, combine
from tarnhelm.metadata.core.profiles.decision import ProfileConflict, ProfileDecision
from tarnhelm.metadata.core.profiles.names import BASIC, METHODS, NEEDS_STAGE, OPTION_OF, PROFILE_NAMES, MethodCode
from tarnhelm.metadata.core.profiles.profile import RULES_VERSION, Profile
from tarnhelm.metadata.core.profiles.resolve import Action, resolve

__all__ = [
    "BASIC",
    "METHODS",
    "NEEDS_STAGE",
    "OPTION_OF",
    "PROFILE_NAMES",
    "RULES_VERSION",
    "Action",
    "MethodCode",
    "Profile",
    "ProfileConflict",
    "ProfileDecision",
    "ProfileError",
    "combine",
    "resolve",
]
