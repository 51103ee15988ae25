"""DLV: destinations, the manifest, withdrawals."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import QUARANTINE, REJECT, RETRY, USAGE, error_code

PEER_AWAY = error_code(
    "DLV-001",
    RETRY,
    "The destination cannot be reached, or does not answer in time.",
    "Look at the peer and the network; deliveries go on when it answers, nothing is lost.",
)
PEER_BUSY = error_code(
    "DLV-002", RETRY, "The destination has no room at the moment.", "Look at the peer's disk and load; it is retried."
)
PEER_REFUSES_US = error_code(
    "DLV-003",
    RETRY,
    "The destination does not let us in.",
    "Look at AE titles, certificates, the token file and the peer's list of callers; deliveries wait until it does.",
)
PEER_FAULT = error_code(
    "DLV-004",
    RETRY,
    "The destination failed over this object.",
    "Look into the peer's log. The object is tried a few times more, then held.",
)
PEER_NOT_STOW = error_code(
    "DLV-005",
    RETRY,
    "What answers at the destination's address is no STOW-RS service.",
    "Look at its address: redirects are not followed. Deliveries wait.",
)
FOLDER_UNWRITABLE = error_code(
    "DLV-006",
    RETRY,
    "The destination's folder cannot be written.",
    "Look at the mount and its permissions; deliveries go on when it can be written.",
)
FORM_NOT_TAKEN = error_code(
    "DLV-010",
    QUARANTINE,
    "The destination does not take this SOP Class in this transfer syntax.",
    "Let the peer accept it: nothing is converted on the way. Then retry the delivery.",
)
REFUSED_FOR_GOOD = error_code(
    "DLV-011",
    QUARANTINE,
    "The destination refuses this object (status {status}).",
    "Look into the peer's log, then retry the delivery or give it up.",
)
DELIVERY_NAME_TAKEN = error_code(
    "DLV-012",
    QUARANTINE,
    "Another file stands where this object would be released.",
    "Move the file that Tarnhelm did not write out of the folder, then retry the delivery.",
)
OTHER_VERSION_THERE = error_code(
    "DLV-013",
    QUARANTINE,
    "The destination has another object under this SOP Instance UID and keeps it.",
    "Delete it there if this one is to replace it, then retry the delivery.",
)
DELIVERY_TOO_LARGE = error_code(
    "DLV-014",
    QUARANTINE,
    "An object of {size} bytes is larger than this destination may be sent ({limit}).",
    "Raise the destination's bound, or send such objects to a folder.",
)
NOT_DICOM_FORM = error_code(
    "DLV-015",
    QUARANTINE,
    "Only DICOM objects can go to this destination.",
    "Send other formats to a folder: set the SOP classes that the destination wants.",
)
NO_DESTINATION = error_code(
    "DLV-016",
    QUARANTINE,
    "No destination wants this object.",
    "Add a destination for its project and kind, then retry the delivery.",
)
DELIVERY_GONE = error_code(
    "DLV-017",
    QUARANTINE,
    "The bytes were purged before this destination had them.",
    "Send the object again if the destination needs it.",
)
DELIVERY_WITHDRAWN = error_code(
    "DLV-020", REJECT, "It was withdrawn.", "Nothing to do: an order signed by two people says so."
)
DESTINATION_SETTINGS = error_code(
    "DLV-021",
    USAGE,
    "A destination is not set up rightly.",
    "Look at its address, its AE titles and its TLS files; off this machine TLS is needed unless plain text is allowed.",
)
NO_SUCH_DELIVERY = error_code(
    "DLV-022", USAGE, "There is no such delivery, or it is not held.", "Look at the list of held deliveries."
)
MANIFEST_KEY_UNUSABLE = error_code(
    "DLV-030",
    USAGE,
    "The manifest's key file cannot be used.",
    "It holds an Ed25519 key in PEM, private and readable by the gateway alone, or public to verify.",
)
MANIFEST_BROKEN = error_code(
    "DLV-031",
    USAGE,
    "The manifest is not what was written (line {line}).",
    "Integrity failure: compare it with the state and with other copies.",
)
MANIFEST_UNREADABLE = error_code(
    "DLV-032", USAGE, "The manifest cannot be read.", "Name a file or a folder of manifest files, or the state."
)
ORDERS_AWAY = error_code(
    "DLV-040", RETRY, "The withdrawal orders cannot be read.", "Look at the folder that they are pulled from."
)
