"""Local accounts, one-time links and sessions, in one private SQLite file.

Nothing in it can be used by who reads it: of passwords, links and session cookies only digests are kept.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.admin.people import Person, plain_name
from tarnhelm.gateway.admin.settings import Role
from tarnhelm.gateway.web.passwords import Cost, check_password, hash_password, require_strength

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Account", "Accounts", "Session"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS accounts (
  name TEXT PRIMARY KEY, subject TEXT NOT NULL UNIQUE, person TEXT NOT NULL, role TEXT NOT NULL,
  password TEXT NOT NULL, made REAL NOT NULL, used REAL NOT NULL);
CREATE TABLE IF NOT EXISTS links (digest BLOB PRIMARY KEY, name TEXT NOT NULL, until REAL NOT NULL);
CREATE TABLE IF NOT EXISTS tries (key BLOB PRIMARY KEY, failed INTEGER NOT NULL, until REAL NOT NULL, last REAL NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (
  digest BLOB PRIMARY KEY, subject TEXT NOT NULL, person TEXT NOT NULL, role TEXT NOT NULL, form TEXT NOT NULL,
  made REAL NOT NULL, used REAL NOT NULL);
"""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,31}", re.ASCII)
_LINK_SECONDS: Final = 24 * 3600.0
_FREE_TRIES: Final = 5
_FREE_TRIES_OF_PEER: Final = 30
_MOST_WAIT_SECONDS: Final = 900.0
_FORGOTTEN_SECONDS: Final = 3600.0
_USED_STEP_SECONDS: Final = 20.0
_LOCAL: Final = "local:"


@dataclass(frozen=True, slots=True)
class Account:
    """One local account; ``used`` is when it last signed in, seconds since 1970, 0 for never."""

    name: str
    subject: str
    person: str
    role: Role
    made: float
    used: float
    has_password: bool


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who has signed in; ``form`` is what the session's forms must hold."""

    person: Person
    form: str


class Accounts:
    """Keeps accounts and sessions; safe among threads, and among the page and the command.

    Parameters
    ----------
    path
        Made with mode 0600 where it is missing; refused where others can read it.
    idle_seconds, whole_seconds
        When sessions end.

    Raises
    ------
    TarnhelmError
        ``WEB-017``: it cannot be used.
    """

    def __init__(
        self,
        path: Path,
        *,
        idle_seconds: float = 1800.0,
        whole_seconds: float = 36_000.0,
        cost: Cost | None = None,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._idle = idle_seconds
        self._whole = whole_seconds
        self._cost = cost or Cost()
        self._clock = clock
        self._random = random
        self._lock = threading.Lock()
        self._hashing = threading.Semaphore(2)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                if os.fstat(fd).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                    raise TarnhelmError(errors.ACCOUNTS_BROKEN)
            finally:
                os.close(fd)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error):
            raise TarnhelmError(errors.ACCOUNTS_BROKEN) from None
        # Checked for names that do not exist, so that how long an answer takes does not tell which do.
        self._nobody = hash_password(secrets.token_urlsafe(16), random, self._cost)

    # --- accounts --------------------------------------------------------------------------------------

    def add(self, name: str, person: str, role: Role, password: str = "") -> Account:
        """Make an account; without a password it needs a link. Raises ``WEB-014``, ``-015`` and ``-027``."""
        if not _NAME.fullmatch(name):
            raise TarnhelmError(errors.ACCOUNT_NAME)
        stored = self._hash(password, name) if password else ""
        subject = f"{_LOCAL}{self._random(10).hex()}"
        with self._change() as db:
            if db.execute("SELECT 1 FROM accounts WHERE name=?", (name,)).fetchone():
                raise TarnhelmError(errors.ACCOUNT_EXISTS)
            row = (name, subject, plain_name(person), role.value, stored, self._clock(), 0.0)
            db.execute("INSERT INTO accounts VALUES (?,?,?,?,?,?,?)", row)
        return self.get(name)

    def get(self, name: str) -> Account:
        """Return one account; raises ``WEB-016``."""
        for account in self.everyone():
            if account.name == name:
                return account
        raise TarnhelmError(errors.ACCOUNT_UNKNOWN)

    def everyone(self) -> Sequence[Account]:
        """All accounts by name."""
        query = "SELECT name, subject, person, role, made, used, password <> '' FROM accounts ORDER BY name"
        return [
            Account(name, subject, person, Role(role), made, used, bool(password))
            for name, subject, person, role, made, used, password in self._rows(query)
        ]

    def remove(self, name: str) -> None:
        """Remove an account and end its sessions; raises ``WEB-016`` and, for the last admin, ``WEB-026``."""
        account = self.get(name)
        with self._change() as db:
            self._keep_an_admin(db, name)
            db.execute("DELETE FROM accounts WHERE name=?", (name,))
            db.execute("DELETE FROM links WHERE name=?", (name,))
            db.execute("DELETE FROM sessions WHERE subject=?", (account.subject,))

    def set_role(self, name: str, role: Role) -> None:
        """Give another role; sessions have it from the next request on."""
        self.get(name)
        with self._change() as db:
            if role is not Role.ADMIN:
                self._keep_an_admin(db, name)
            db.execute("UPDATE accounts SET role=? WHERE name=?", (role.value, name))

    def set_password(self, name: str, password: str) -> None:
        """Give another password; ends sessions, links and waiting times of the account."""
        account = self.get(name)
        stored = self._hash(password, name)
        with self._change() as db:
            db.execute("UPDATE accounts SET password=? WHERE name=?", (stored, name))
            db.execute("DELETE FROM links WHERE name=?", (name,))
            db.execute("DELETE FROM sessions WHERE subject=?", (account.subject,))
            db.execute("DELETE FROM tries WHERE key=?", (_key("name", name),))

    # --- one-time links --------------------------------------------------------------------------------

    def first_link(self) -> str:
        """Token of a link that makes the first admin; empty where there is an account. The one before is void."""
        if self.everyone():
            return ""
        return self._link("")

    def link(self, name: str) -> str:
        """Token of a link by which an account gets a password; its old password and sessions end now."""
        account = self.get(name)
        with self._change() as db:
            db.execute("UPDATE accounts SET password='' WHERE name=?", (name,))
            db.execute("DELETE FROM sessions WHERE subject=?", (account.subject,))
        return self._link(name)

    def owner_of_link(self, token: str) -> str | None:
        """Name that a link is for; empty for that of the first admin, None for a link that does not hold."""
        rows = self._rows("SELECT name, until FROM links WHERE digest=?", _digest(token))
        return str(rows[0][0]) if rows and rows[0][1] > self._clock() else None

    def use_link(self, token: str, name: str, person: str, password: str) -> Account:
        """Use a link once: make the first admin, or give the link's account its password. Raises ``WEB-018``."""
        owner = self.owner_of_link(token)
        if owner is None:
            raise TarnhelmError(errors.LINK_SPENT)
        target = owner or name
        if not _NAME.fullmatch(target):
            raise TarnhelmError(errors.ACCOUNT_NAME)
        stored = self._hash(password, target)
        subject = f"{_LOCAL}{self._random(10).hex()}"
        with self._change() as db:
            spent = db.execute("DELETE FROM links WHERE digest=?", (_digest(token),)).rowcount
            first = not db.execute("SELECT 1 FROM accounts").fetchone()
            if not spent or (not owner and not first):
                raise TarnhelmError(errors.LINK_SPENT)
            if owner:
                db.execute("UPDATE accounts SET password=? WHERE name=?", (stored, owner))
            else:
                row = (target, subject, plain_name(person), Role.ADMIN.value, stored, self._clock(), 0.0)
                db.execute("INSERT INTO accounts VALUES (?,?,?,?,?,?,?)", row)
        return self.get(target)

    # --- signing in ------------------------------------------------------------------------------------

    def sign_in(self, name: str, password: str, peer: str) -> Person:
        """Check a password; raises ``WEB-013``, which does not say what was wrong.

        After some failures of a name, or of a peer, each further one doubles the time in which not even the right
        password is heard, up to 15 minutes.
        """
        now = self._clock()
        keys = ((_key("name", name), _FREE_TRIES), (_key("peer", peer), _FREE_TRIES_OF_PEER))
        waiting = any(self._waits(key, now) for key, _ in keys)
        rows = self._rows("SELECT subject, person, role, password FROM accounts WHERE name=?", name)
        stored = rows[0][3] if rows and rows[0][3] else self._nobody
        # What waits costs no hash: whoever floods the form gets no more than that out of it.
        with self._hashing:
            good = not waiting and check_password(password, stored) and stored is not self._nobody
        with self._change() as db:
            for key, free in keys:
                if good:
                    db.execute("DELETE FROM tries WHERE key=?", (key,))
                elif not waiting:
                    _note_failure(db, key, free, now)
            if good:
                db.execute("UPDATE accounts SET used=? WHERE name=?", (now, name))
            db.execute("DELETE FROM tries WHERE last < ?", (now - _FORGOTTEN_SECONDS,))
        if not good:
            raise TarnhelmError(errors.LOGIN_REFUSED)
        subject, person, role, _ = rows[0]
        return Person(subject, person, Role(role))

    def open_session(self, person: Person) -> str:
        """Begin a session; returns what the cookie holds."""
        token = self._random(32).hex()
        now = self._clock()
        row = (_digest(token), person.subject, person.name, person.role.value, self._random(24).hex(), now, now)
        with self._change() as db:
            db.execute("DELETE FROM sessions WHERE used < ? OR made < ?", (now - self._idle, now - self._whole))
            db.execute("INSERT INTO sessions VALUES (?,?,?,?,?,?,?)", row)
        return token

    def session(self, token: str, *, used_now: bool = True) -> Session | None:
        """Return the session of a cookie, and note that it is used; a local account's role is the one it has now.

        ``used_now`` is false for what a page asks by itself: nobody need be sitting before it.
        """
        now = self._clock()
        rows = self._rows("SELECT subject, person, role, form, made, used FROM sessions WHERE digest=?", _digest(token))
        if not rows:
            return None
        subject, person, role, form, made, used = rows[0]
        if used < now - self._idle or made < now - self._whole:
            self.close_session(token)
            return None
        if subject.startswith(_LOCAL):
            accounts = self._rows("SELECT person, role FROM accounts WHERE subject=?", subject)
            if not accounts:
                return None
            person, role = accounts[0]
        if used_now and now - used > min(_USED_STEP_SECONDS, self._idle / 4):
            with self._change() as db:
                db.execute("UPDATE sessions SET used=? WHERE digest=?", (now, _digest(token)))
        return Session(Person(subject, person, Role(role)), form)

    def close_session(self, token: str) -> None:
        """End one session."""
        with self._change() as db:
            db.execute("DELETE FROM sessions WHERE digest=?", (_digest(token),))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    # --- what they share -------------------------------------------------------------------------------

    def _hash(self, password: str, name: str) -> str:
        require_strength(password, name)
        with self._hashing:
            return hash_password(password, self._random, self._cost)

    def _link(self, name: str) -> str:
        token = self._random(32).hex()
        with self._change() as db:
            db.execute("DELETE FROM links WHERE name=? OR until<?", (name, self._clock()))
            db.execute("INSERT INTO links VALUES (?,?,?)", (_digest(token), name, self._clock() + _LINK_SECONDS))
        return token

    def _waits(self, key: bytes, now: float) -> bool:
        rows = self._rows("SELECT until FROM tries WHERE key=?", key)
        return bool(rows) and rows[0][0] > now

    @staticmethod
    def _keep_an_admin(db: sqlite3.Connection, name: str) -> None:
        others = db.execute("SELECT 1 FROM accounts WHERE role='admin' AND name<>?", (name,)).fetchone()
        mine = db.execute("SELECT 1 FROM accounts WHERE role='admin' AND name=?", (name,)).fetchone()
        if mine and not others:
            raise TarnhelmError(errors.LAST_ADMIN)

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One transaction; the lock keeps the threads of this process apart, the database those of others."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.Error:
                raise TarnhelmError(errors.ACCOUNTS_BROKEN) from None

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._lock:
            try:
                return self._db.execute(query, values).fetchall()
            except sqlite3.Error:
                raise TarnhelmError(errors.ACCOUNTS_BROKEN) from None


def _note_failure(db: sqlite3.Connection, key: bytes, free: int, now: float) -> None:
    row = db.execute("SELECT failed FROM tries WHERE key=?", (key,)).fetchone()
    failed = (row[0] if row else 0) + 1
    wait = min(2.0 ** min(failed - free, 12), _MOST_WAIT_SECONDS) if failed >= free else 0.0
    db.execute("INSERT OR REPLACE INTO tries VALUES (?,?,?,?)", (key, failed, now + wait, now))


def _key(kind: str, text: str) -> bytes:
    return hashlib.sha256(f"{kind}\x00{text}".encode("utf-8", "surrogatepass")).digest()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
