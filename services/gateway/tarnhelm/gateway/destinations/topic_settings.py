"""How the topic ``clean`` is set up as a destination."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["TopicDestinationSettings"]


@dataclass(frozen=True, slots=True)
class TopicDestinationSettings:
    """A topic that released objects are published on: whole, in chunks, or by reference, as their size asks.

    Attributes
    ----------
    topic
        Its name.
    max_chunked_bytes
        Objects up to this size travel on the topic; larger ones are put into ``export_folder``. Without one, all
        travel on the topic.
    export_folder
        Folder that consumers can reach; made if it is missing. Files have their surrogate paths below it.
    export_prefix
        How consumers name that folder, ``file:///mnt/clean/`` or ``https://files.example/clean/``; ends with a slash.
    export_seconds
        How long an exported file stays; the reference says when it ends. Longer than the topic's retention.
    acknowledge_seconds
        How long the broker may take to acknowledge an object.
    """

    topic: str = "clean"
    max_chunked_bytes: int = 64 << 20
    export_folder: Path | None = None
    export_prefix: str = ""
    export_seconds: float = 7 * 86_400.0
    acknowledge_seconds: float = 120.0

    def __post_init__(self) -> None:
        if not self.topic:
            raise ValueError("a destination needs a topic")
        if self.max_chunked_bytes < 0 or min(self.export_seconds, self.acknowledge_seconds) <= 0:
            raise ValueError("bounds are more than nothing")
        if (self.export_folder is None) != (not self.export_prefix):
            raise ValueError("an export folder and the prefix that names it come together")
        url = urlsplit(self.export_prefix)
        if self.export_prefix and (not url.scheme or not url.path.endswith("/") or url.query or url.fragment):
            raise ValueError("a prefix has a scheme, and a slash at its end")
