"""A reveal server that kills itself at one point of a use: ``python -m tests.support.reveal_killer STATE CONFIG POINT``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from tarnhelm.reveal.core.audit.writer import Audit
from tarnhelm.reveal.core.cases import Step
from tarnhelm.reveal.core.desk import Desk
from tarnhelm.reveal.core.store_postgres import PostgresCases
from tarnhelm.reveal.local import LocalReveal
from tarnhelm.reveal.server.main import run_server
from tarnhelm.reveal.server.settings import parse_server_settings

POINTS = (
    "before begun", "after begun", "before used", "torn used", "after used", "before event", "after event", "after finish",
)  # fmt: skip
SPENT = frozenset({"after used", "before event", "after event", "after finish"})
"""Points after which the audit says that the case was used."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str) -> None:
    moment, _, what = point.partition(" ")
    append, add, finish, write = Audit.append, PostgresCases.add, Desk.finish, Audit._write
    lines = {"begun": "use-begun", "used": "used"}
    current: list[str] = []

    def appended(self: Audit, event: str, **fields: Any) -> Any:
        here = lines.get(what) == event
        current[:] = [event]
        if here and moment == "before":
            die()
        made = append(self, event, **fields)
        if here and moment == "after":
            die()
        return made

    def written(self: Audit, content: bytes) -> None:
        if moment == "torn" and current == [lines[what]]:
            self._file.write(content[: len(content) // 2])
            die()
        write(self, content)

    def added(self: PostgresCases, event: Any) -> bool:
        here = what == "event" and event.step is Step.USE
        if here and moment == "before":
            die()
        made = add(self, event)
        if here and moment == "after":
            die()
        return made

    def finished(self: Desk, *given: Any, **named: Any) -> Any:
        made = finish(self, *given, **named)
        if what == "finish":
            die()
        return made

    Audit.append, PostgresCases.add, Desk.finish, Audit._write = appended, added, finished, written  # type: ignore[method-assign]


def main() -> None:
    state, config, point = sys.argv[1:]
    arm(point)
    run_server(LocalReveal(Path(state)), parse_server_settings(Path(config).read_bytes()))


if __name__ == "__main__":
    main()
