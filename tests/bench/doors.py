"""How fast the doors receive, beside DCMTK's storescp: objects per second and CPU time of the receiving process.

``python -m tests.bench.doors`` prints a table. The receiver is a process of its own, which hashes what comes and keeps
nothing; storescp runs with ``--ignore`` (keeps nothing, hashes nothing) and writing to a folder. It gets TCP_NODELAY,
without which Debian's build waits 40 ms for an acknowledgement at each object. The sender is DCMTK's storescu as it is,
for STOW-RS a loop over ``http.client``.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pydicom.uid import CTImageStorage
from tests.support.admitting import RecordingAdmitter
from tests.support.door_peers import image, open_door

from tarnhelm.gateway.doors.stow import StowDoor
from tarnhelm.gateway.doors.stow_settings import StowDoorSettings, StowRoute

_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure all receivers and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", choices=("dicom", "stow"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "in"
        folder.mkdir()
        draw = random.Random(1)
        for number in range(given.files):
            data_set = image(number, sop_class=CTImageStorage, rows=512)
            data_set.PixelData = draw.randbytes(512 * 512 * 2)
            data_set.save_as(folder / f"{number}.dcm", enforce_file_format=True)
        print("| Receiver | objects/s | CPU-ms an object | peak MiB |\n|---|---|---|---|")  # noqa: T201
        own = [sys.executable, "-m", "tests.bench.doors", "--serve"]
        (Path(name) / "out").mkdir()
        for label, command, send in (
            ("DICOM door, PDUs of 16 KiB", [*own, "dicom"], lambda port: _storescu(folder, port, "16384")),
            ("DICOM door, PDUs of 128 KiB", [*own, "dicom"], lambda port: _storescu(folder, port, "131072")),
            ("storescp --ignore", ["storescp", "--ignore", "+xa"], lambda port: _storescu(folder, port, "131072")),
            (
                "storescp, writing",
                ["storescp", "+xa", "-od", f"{name}/out"],
                lambda port: _storescu(folder, port, "131072"),
            ),
            ("STOW-RS door, 1 part a request", [*own, "stow"], lambda port: _post(folder, port, 1)),
            ("STOW-RS door, 20 parts a request", [*own, "stow"], lambda port: _post(folder, port, 20)),
        ):
            if shutil.which(command[0]) is None:
                continue
            best = min(_measure(command, send, given.files) for _ in range(given.rounds))
            print(f"| {label} | {1 / best[0]:.0f} | {best[1] * 1000:.2f} | {best[2] >> 20} |", flush=True)  # noqa: T201


def serve(kind: str) -> None:
    """Open one door, tell its port, end with the standard input."""
    admitter = RecordingAdmitter(keep=False)
    if kind == "dicom":
        with open_door(admitter) as door:
            print(door.port, flush=True)  # noqa: T201
            sys.stdin.read()
        return
    stow = StowDoor(StowDoorSettings(listen="127.0.0.1:0", routes=(StowRoute("", "p"),)), admitter)
    stow.start()
    print(stow.port, flush=True)  # noqa: T201
    sys.stdin.read()
    stow.close()


def _measure(command: list[str], send: object, files: int) -> tuple[float, float, int]:
    own = command[0] == sys.executable
    if not own:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [*command, str(port)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TCP_NODELAY": "1"},
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        if own:
            port = int(child.stdout.readline())
        else:
            _wait(port)
        cpu, began = _cpu(child.pid), time.monotonic()
        send(port)  # type: ignore[operator]
        wall, cpu = time.monotonic() - began, _cpu(child.pid) - cpu
        peak = next(
            int(line.split()[1]) << 10
            for line in Path(f"/proc/{child.pid}/status").read_text("ascii").splitlines()
            if line.startswith("VmHWM")
        )
        child.stdin.close()
        if not own:
            child.terminate()
        child.wait(30)
    return wall / files, cpu / files, peak


def _wait(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _storescu(folder: Path, port: int, pdu: str) -> None:
    command = ["storescu", "-aec", "TARNHELM", "--max-send-pdu", pdu, "+sd", "127.0.0.1", str(port), str(folder)]
    subprocess.run(command, check=True, capture_output=True)


def _post(folder: Path, port: int, parts: int) -> None:
    files = [path.read_bytes() for path in sorted(folder.iterdir())]
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for start in range(0, len(files), parts):
        body = b"".join(
            b"--B\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files[start : start + parts]
        )
        kind = 'multipart/related; type="application/dicom"; boundary=B'
        connection.request("POST", "/studies", body + b"--B--\r\n", {"Content-Type": kind})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    connection.close()


if __name__ == "__main__":
    main()
