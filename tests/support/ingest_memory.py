"""Sends a large object, or takes it in, in a process of its own; prints how many MiB the process had at most."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

from tests.support.brokers import Place
from tests.support.ingest_door import FolderAdmitter, World

from tarnhelm.gateway.ingest.sealing import read_sealing_key
from tarnhelm.gateway.producer.sender import Sender, SenderSettings


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") >> 20


def main():
    role, folder, suffix, mebibytes = sys.argv[1:]
    folder = Path(folder)
    world = World(Place("sqlite", str(folder / "broker")), folder, suffix)
    most = [resident()]
    done = threading.Event()

    def watch():
        while not done.wait(0.02):
            most[0] = max(most[0], resident())

    watching = threading.Thread(target=watch)
    watching.start()
    if role == "send":
        block = os.urandom(1 << 20)
        sender = Sender(world.broker, SenderSettings(world.ingest), seal_to=read_sealing_key(folder / "gateway.pem"))
        sender.send((block for _ in range(int(mebibytes))), int(mebibytes) << 20).result(120)
    else:
        settings = world.settings(opening_key_files=(folder / "gateway.key",))
        world.start(settings, admitter=FolderAdmitter(folder / "accepted"))
        while not any(not path.name.startswith(".") for path in (folder / "accepted").iterdir()):
            time.sleep(0.05)
        world.stop()
    done.set()
    watching.join()
    world.close()
    sys.stdout.write(json.dumps(most[0]))


if __name__ == "__main__":
    main()
