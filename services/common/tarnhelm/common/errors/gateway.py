"""GTW: admission, state, release."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import QUARANTINE, REJECT, RETRY, USAGE, error_code

UNREADABLE = error_code(
    "GTW-001",
    REJECT,
    "The file cannot be read.",
    "Look at its permissions and at the disk, then run again with --resume.",
)
SOURCE_CHANGED = error_code(
    "GTW-002",
    QUARANTINE,
    "The source changed while it was being cleaned.",
    "Wait until the sender has finished, then retry it.",
)
RESULT_CHANGED = error_code(
    "GTW-003",
    QUARANTINE,
    "The result changed between the verdict and the release.",
    "Integrity failure: look at the machine before going on.",
)
NO_SPACE = error_code("GTW-004", RETRY, "The disk is full.", "Free some space, then run again with --resume.")
STATE_LOCKED = error_code("GTW-005", USAGE, "Another run writes into the same folder.", "Wait until it has ended.")
STATE_BROKEN = error_code(
    "GTW-006", USAGE, "The private state cannot be read.", "Restore the state directory, or choose an empty OUT."
)
ARCHIVE_UNREADABLE = error_code(
    "GTW-007", REJECT, "The archive is damaged or encrypted.", "Unpack it yourself and clean the folder."
)
NAME_TAKEN = error_code(
    "GTW-008",
    QUARANTINE,
    "Another file stands where this object would be released.",
    "Move the file that Tarnhelm did not write out of OUT.",
)
REJECTED_BY_REVIEWER = error_code(
    "GTW-009", REJECT, "A reviewer rejected the object.", "Nothing to do: the decision is recorded."
)
NO_ROOM = error_code(
    "GTW-020",
    RETRY,
    "There is no room for more objects now.",
    "Nothing was accepted; send again later. Look at what the gateway waits for if it lasts.",
)
NO_PLAN = error_code(
    "GTW-021",
    REJECT,
    "The project has no plan.",
    "Compile the project's plan and enter it before objects are sent to it.",
)
RAW_MISSING = error_code(
    "GTW-022",
    QUARANTINE,
    "The raw bytes of an accepted object are not in the store.",
    "Integrity failure: look at the blob store; ask the sender for the object again.",
)
RESULT_MISSING = error_code(
    "GTW-023",
    QUARANTINE,
    "The result of a stage is not in the store, or is not the one that was recorded.",
    "Integrity failure: look at the blob store, then retry the object.",
)
SUPERSEDED = error_code(
    "GTW-024",
    REJECT,
    "Another content under the same SOP Instance UID came before this one was released.",
    "Nothing to do: the later one goes on, as the project's `on_update` says.",
)
UID_TAKEN = error_code(
    "GTW-025",
    QUARANTINE,
    "Another content under the same SOP Instance UID is here already.",
    "Compare the two at the sender; retry the one that shall be released and reject the other.",
)
TASK_UNREADABLE = error_code(
    "GTW-026",
    REJECT,
    "A message on a stage's topic cannot be read, or names no object of this gateway.",
    "Look at who may write to the topic; the message lies in the topic `dead-letter`.",
)
SECOND_PERSON = error_code(
    "GTW-027",
    USAGE,
    "To accept unchecked pixels takes two different people.",
    "Let somebody else approve it.",
)
NOT_HELD = error_code(
    "GTW-028",
    USAGE,
    "The object is not in quarantine, or the request is another one by now.",
    "Look at it again; somebody else was faster, or it has gone on.",
)
VOLUME_LATE = error_code(
    "GTW-029",
    QUARANTINE,
    "The object came after its volume was closed and does not fit it.",
    "Retry all objects of the volume together.",
)
VOLUME_LONE = error_code(
    "GTW-030",
    QUARANTINE,
    "The object needs a volume and is the only one of it, or names no frame of reference.",
    "Send the other objects of its series, then retry it.",
)
STALLED = error_code(
    "GTW-031",
    RETRY,
    "The object is where its pump should have taken it up long ago.",
    "Nothing to do: its message is published again; look at the broker if it happens often.",
)
THREE_TIMES_LOST = error_code(
    "GTW-032",
    QUARANTINE,
    "A service lost the object three times after it had taken it on, the last time alone.",
    "Treat the file as hostile; look at the service's log for the same times, then retry or reject it.",
)
