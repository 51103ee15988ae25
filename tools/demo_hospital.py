"""The servers and the people of ``tools.demo_linkage``: started, enrolled, logged in; commands run and shown."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text
from tests.support import postgres as debian
from tests.support.certificates import Authority
from tests.support.openbao import start_bao
from tests.support.reveal_server import BaoProvider, as_role, databases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

COMMANDS = Path(sys.executable).parent
_LONGEST_SHOWN = 60


@dataclass
class Story:
    """Says what happens, and how long it took."""

    console: Console
    rows: list[tuple[str, str, float]] = field(default_factory=list)
    start: float = field(default_factory=time.monotonic)

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[list[str]]:
        """One step; what is put into the list becomes its result."""
        self.console.print()
        self.console.rule(title, align="left")
        begun, result = time.monotonic(), [""]
        yield result
        self.rows.append((title, result[-1], time.monotonic() - begun))

    def table(self) -> Table:
        """All steps."""
        table = Table(title="What was done")
        for name in ("step", "result", "seconds"):
            table.add_column(name, justify="right" if name == "seconds" else "left")
        for title, result, seconds in self.rows:
            table.add_row(title, result, f"{seconds:.1f}")
        table.add_row("in all", "", f"{time.monotonic() - self.start:.1f}", style="bold")
        return table


@dataclass
class Hospital:
    """The servers, and what each person has."""

    folder: Path
    story: Story
    bao: Any
    ledger: str = ""
    cases: str = ""
    role: str = ""

    def run(self, who: str, *arguments: Any, fails: bool = False) -> str:
        """Run a command of a person's and show it; gives its output."""
        words = [str(argument) for argument in arguments]
        self.show(who, words)
        done = subprocess.run(
            [COMMANDS / words[0], *words[1:]],
            cwd=self.folder,
            env=self.environment(who),
            capture_output=True,
            text=True,
            check=False,
        )
        said = "\n".join(line.rstrip() for line in (done.stdout + done.stderr).rstrip().splitlines())
        self.story.console.print(said, markup=False, soft_wrap=True, highlight=False)
        if bool(done.returncode) is not fails:
            raise SystemExit(f"this should {'not ' if fails else ''}have worked: exit code {done.returncode}")
        return done.stdout.strip()

    def show(self, who: str, words: list[str]) -> None:
        """Show a command as its person would type it: without the file that stands for typing a passphrase."""
        kept = list(words)
        if "--passphrase-file" in kept:
            place = kept.index("--passphrase-file")
            del kept[place : place + 2]
        shown = shlex.join(_shortened(word.replace(f"{self.folder}/", "")) for word in kept)
        self.story.console.print(Text.assemble("\n", (f"{who}$ ", "bold"), shown), soft_wrap=True)

    def environment(self, who: str) -> dict[str, str]:
        """Each person, and the server, has a private directory of its own."""
        home = self.folder / who
        home.mkdir(mode=0o700, exist_ok=True)
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {**kept, "HOME": str(home), "TARNHELM_STATE": str(home / "state"), "COLUMNS": "150", "NO_COLOR": "1"}

    def key(self, who: str) -> list[Any]:
        """How a person's commands name the key."""
        return ["--as", self.folder / who / f"{who}.pem", "--passphrase-file", self.folder / who / "passphrase"]


def servers(folder: Path, story: Story, stack: contextlib.ExitStack) -> Hospital:
    """Start OpenBao with the shipped configuration and policies, and PostgreSQL if it is installed."""
    (folder / "vault").mkdir()
    bao = start_bao(folder / "vault")
    stack.callback(bao.close)
    hospital = Hospital(folder, story, bao)
    binaries = debian._binaries()  # noqa: SLF001 - the tests' own starter
    if binaries is not None:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tarnhelm-demo-")))
        user = debian._unprivileged()  # noqa: SLF001
        if user is not None:
            shutil.chown(place, user)
        running = debian._running(binaries, place, user)  # noqa: SLF001
        server = stack.enter_context(contextlib.contextmanager(lambda: running)())
        hospital.ledger, hospital.cases, hospital.role = databases(server)
    story.console.print(f"OpenBao at {bao.address}: Transit, policies assign, reveal, steward, audit device on.")
    return hospital


def served(hospital: Hospital, provider: BaoProvider, authority: Authority, stack: contextlib.ExitStack) -> int:
    """Write ``server.toml`` and start ``tarnhelm-reveal serve``; gives the port."""
    folder = hospital.folder
    pair, login = authority.issue("reveal", "localhost"), hospital.bao.login("reveal")
    if hospital.ledger:
        for name, address in (("ledger", hospital.ledger), ("cases", hospital.cases)):
            path = folder / f"{name}.address"
            path.touch(mode=0o600)
            path.write_text(as_role(address, hospital.role) + "\n")
        ledger = (
            f'[ledger]\ndatabase_file = "{folder}/ledger.address"\n[cases]\ndatabase_file = "{folder}/cases.address"'
        )
    else:
        ledger = f'[ledger]\nstate = "{folder}/links"'
    (folder / "server.toml").write_text(f"""format = 1
[server]
listen = "127.0.0.1:0"
tls_certificate_file = "{pair.certificate}"
tls_key_file = "{pair.key}"
client_ca_file = "{authority.ca_file}"
callers = ["people.example"]
[identity]
issuer = "{provider.issuer}"
audience = "{provider.client}"
ca_file = "{hospital.bao.ca_file}"
[vault]
address = "{hospital.bao.address}"
ca_file = "{hospital.bao.ca_file}"
role_id = "{login.role_id}"
secret_id_file = "{login.secret_id_file}"
{ledger}
""")
    log = folder / "server.log"
    hospital.show("server", ["tarnhelm-reveal", "serve", "--config", f"{folder}/server.toml"])
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [COMMANDS / "tarnhelm-reveal", "serve", "--config", folder / "server.toml"],
            env=hospital.environment("server"), stdout=stream, stderr=stream,
        )  # fmt: skip
    stack.callback(process.wait, 40)
    stack.callback(process.terminate)
    for _ in range(300):
        if found := re.search(rb"listening on port (\d+)", log.read_bytes()):
            return int(found.group(1))
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit(log.read_text())


def log_in(hospital: Hospital, provider: BaoProvider, who: str) -> None:
    """Run ``login``, and be the browser that a person would use."""
    words = ["tarnhelm-reveal", "login", "--no-browser", *map(str, hospital.key(who))]
    hospital.show(who, words)
    with subprocess.Popen(
        [COMMANDS / words[0], *words[1:]], cwd=hospital.folder, env=hospital.environment(who), stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        if process.stderr is None:
            raise SystemExit("no stderr")
        said = []
        for line in process.stderr:
            said.append(line)
            if line.strip().startswith("https://"):
                provider.browser(who)(line.strip(), "")
                break
        out, rest = process.communicate(timeout=60)
    if process.returncode:
        raise SystemExit(out + "".join(said) + rest)
    hospital.story.console.print(rest.strip().splitlines()[-1], markup=False)


def new_person(hospital: Hospital, who: str, subject: str = "") -> Path:
    """Let a person make keys and a card; gives the card."""
    hospital.environment(who)
    secret = hospital.folder / who / "passphrase"
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_urlsafe(12) + "\n")
    named = ("--subject", subject) if subject else ()
    hospital.run(
        who, "tarnhelm-reveal", "person", "new", who, "--name", who.title(), *named,
        "--folder", hospital.folder / who, "--passphrase-file", secret,
    )  # fmt: skip
    return hospital.folder / who / f"{who}.card.json"


def _shortened(word: str) -> str:
    """Addresses and digests of a demonstration are looked at, not typed."""
    long = len(word) > _LONGEST_SHOWN and " " not in word
    return f"{word[:24]}…{word[-6:]}" if long else word
