"""``tarnhelm send`` in a process that may be killed; it is slow enough to be killed half-way."""

from __future__ import annotations

import sys
import time

from tarnhelm.cli.main import run
from tarnhelm.cli.services import TarnhelmServices
from tarnhelm.gateway.producer.journal import SendJournal

if __name__ == "__main__":
    quick = SendJournal.add

    def slow(journal, entry):
        time.sleep(0.01)
        quick(journal, entry)

    SendJournal.add = slow
    sys.exit(run(["send", *sys.argv[1:]], TarnhelmServices()))
