"""WEB: what operators see and decide."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import REJECT, RETRY, USAGE, error_code

ADMIN_CALLER = error_code(
    "WEB-001",
    USAGE,
    "The gateway does not know the caller.",
    "Use a certificate or a token that the gateway's configuration names under admin.callers.",
)
ADMIN_ROLE = error_code(
    "WEB-002", USAGE, "The role does not allow this.", "Ask somebody with the role that it needs: reviewer or admin."
)
SAME_PERSON = error_code(
    "WEB-003",
    USAGE,
    "Who proposes to accept an object cannot confirm it.",
    "Ask a second person with the role reviewer to look at it and to confirm.",
)
NO_PROPOSAL = error_code(
    "WEB-004",
    USAGE,
    "Nobody has proposed to accept this object, or the proposal no longer stands.",
    "Propose it; a second person confirms.",
)
COUNT_CHANGED = error_code(
    "WEB-005",
    USAGE,
    "The selection holds {found} objects now, {expected} were confirmed; nothing was decided.",
    "Look at the selection again and confirm the new number.",
)
OBJECT_UNKNOWN = error_code(
    "WEB-006", USAGE, "No object, or more than one, has this id.", "Give more of its digits, at least four."
)
OBJECT_MOVED = error_code(
    "WEB-007",
    USAGE,
    "The object changed while you decided; nothing was done to it.",
    "Look at it again.",
)
DECISION_IMPOSSIBLE = error_code(
    "WEB-008",
    USAGE,
    "The object is in a state in which this cannot be decided.",
    "Only what is in quarantine can be retried or accepted; what waits can be rejected too.",
)
REASON_MISSING = error_code(
    "WEB-009",
    USAGE,
    "A decision needs a reason of 3 to 500 characters.",
    "Say why, without naming a patient.",
)
ADMIN_REQUEST = error_code(
    "WEB-010", REJECT, "The request cannot be read.", "Use the page or the command of the same version."
)
ADMIN_FAILED = error_code("WEB-011", RETRY, "The admin service failed.", "Look at the gateway's log; try again.")
NO_HEADER = error_code(
    "WEB-012",
    USAGE,
    "There is no cleaned header of this object.",
    "An object has one after its first stage is done, until it is purged.",
)
LOGIN_REFUSED = error_code(
    "WEB-013",
    USAGE,
    "Name or password is wrong, or there were too many tries.",
    "Wait a minute and try again; an admin can reset the account with tarnhelm user reset.",
)
PASSWORD_WEAK = error_code(
    "WEB-014",
    USAGE,
    "A password needs 12 to 256 characters and may not hold the account's name.",
    "Take three or four words that have nothing to do with each other.",
)
ACCOUNT_EXISTS = error_code(
    "WEB-015", USAGE, "There is an account of this name already.", "Choose another name, or reset the account."
)
ACCOUNT_UNKNOWN = error_code(
    "WEB-016", USAGE, "There is no account of this name.", "List them with tarnhelm user list."
)
ACCOUNTS_BROKEN = error_code(
    "WEB-017",
    USAGE,
    "The file of accounts cannot be used.",
    "Look at its place and its owner; it must be readable by the gateway's user alone.",
)
LINK_SPENT = error_code(
    "WEB-018",
    USAGE,
    "The link was used already, or is too old.",
    "Ask an admin for a new one: tarnhelm user reset NAME.",
)
FORM_STALE = error_code(
    "WEB-019", USAGE, "The form was not made for this session.", "Open the page again and send it from there."
)
PROVIDER_AWAY = error_code(
    "WEB-020", RETRY, "The identity provider does not answer.", "Try again; look at web.oidc and at the network."
)
PROVIDER_REFUSED = error_code(
    "WEB-021",
    USAGE,
    "The identity provider's answer does not hold.",
    "Sign in again; if it stays so, compare issuer, client id and the clocks.",
)
PERSON_WITHOUT_ROLE = error_code(
    "WEB-022",
    USAGE,
    "The identity provider gives this person no role here.",
    "Add the person to one of the groups in web.oidc.roles.",
)
ADMIN_AWAY = error_code(
    "WEB-023",
    RETRY,
    "The gateway's admin service does not answer.",
    "Look whether its process runs, and at the address and the certificates.",
)
WEB_SETTINGS = error_code(
    "WEB-024",
    USAGE,
    "The settings of the web page or of the admin service do not fit together.",
    "Off this machine both need TLS; a caller needs a certificate name or a token file of 32 characters or more.",
)
TOO_MANY_OBJECTS = error_code(
    "WEB-025",
    USAGE,
    "A decision may hold {limit} objects at most.",
    "Narrow the filter and decide in several steps.",
)
LAST_ADMIN = error_code("WEB-026", USAGE, "This is the last account with the role admin.", "Make another admin first.")
ACCOUNT_NAME = error_code(
    "WEB-027",
    USAGE,
    "An account's name has 2 to 32 lower-case letters, digits, points or hyphens.",
    "Take the name by which the hospital knows the person, such as m.tremblay.",
)
PAGE_UNKNOWN = error_code("WEB-028", USAGE, "There is no such page.", "Go back to the overview.")
PROPOSED_ALREADY = error_code(
    "WEB-029", USAGE, "Somebody has proposed to accept this object already.", "Confirm it, if you are another person."
)
PASSWORDS_DIFFER = error_code("WEB-030", USAGE, "The two passwords differ.", "Write the same one into both fields.")
