"""Backing up and restoring by commands: the files of one machine, and the snapshot of a real OpenBao."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.openbao import POLICIES, start_bao
from tests.support.steward_hospital import CANARY, REASONS, ServersPlace, StewardHospital
from tests.support.vault_sessions import error_of, private

from tarnhelm.linkage.vaults.transit_names import root_key, seal_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.openbao import Bao

SERVERS = pytest.mark.parametrize("steward_hospital", ["own servers"], indirect=True)
BOTH = pytest.mark.parametrize("steward_hospital", ["files", "own servers"], indirect=True)


class Backups:
    """What a hospital does about its backups."""

    def __init__(self, hospital: StewardHospital) -> None:
        self.hospital = hospital
        self.folder = hospital.folder
        by = hospital.by("sam")
        said = hospital.steward("key", "recovery", "--shares", 3, "--needed", 2, "--out", self.folder / "shares", *by)
        assert "Any 2 of the 3" in said.err
        self.shares = sorted((self.folder / "shares").iterdir())
        assert [path.name for path in self.shares] == [f"share-{number}-of-3.txt" for number in (1, 2, 3)]

    def taken(self, name: str = "monday.backup") -> Path:
        target = self.folder / name
        self.hospital.steward("key", "backup", target, *self.hospital.by("sam"))
        return target

    def approved(self, source: Path, *options: object) -> str:
        hospital = self.hospital
        case = hospital.steward("key", "restore", source, *options, *hospital.by("sam"), *REASONS).out.splitlines()[-1]
        hospital.steward("case", "approve", case[:8], *hospital.by("alice"), "--yes")
        return case

    def restore(self, source: Path, case: str, *options: object, shares: int = 2, code: int = 0) -> str:
        given = [word for path in self.shares[:shares] for word in ("--share", path)]
        done = self.hospital.steward(
            "key", "restore", source, "--case", case[:8], *given, *options, *self.hospital.by("sam"), code=code
        )
        return done.out + done.err


def restore_token(bao: Bao, folder: Path) -> Path:
    """The token that the policy ``restore.hcl`` is given to, for one restore."""
    policy = (POLICIES / "restore.hcl").read_text()
    bao.admin("PUT", "sys/policies/acl/tarnhelm-restore", {"policy": policy})
    made = bao.admin("POST", "auth/token/create", {"policies": ["tarnhelm-restore"], "no_parent": True, "ttl": "10m"})
    return private(folder / "restore.token", made["auth"]["client_token"] + "\n")


@contextmanager
def again_and_again(work: Callable[[], None]) -> Iterator[None]:
    """Do something every tenth of a second meanwhile."""
    end = threading.Event()

    def turn() -> None:
        while not end.wait(0.1):
            work()

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join(60)


def token_options(hospital: StewardHospital) -> tuple[object, ...]:
    place = hospital.place
    if isinstance(place, ServersPlace):
        return ("--vault-token-file", restore_token(place.bao, hospital.folder))
    return ("--replace",)


@BOTH
def test_who_was_withdrawn_and_what_was_destroyed_stays_so_after_a_restore(steward_hospital: StewardHospital) -> None:
    hospital = steward_hospital
    backups = Backups(hospital)
    hospital.place.create(hospital, "trial-8")
    hospital.send("MRN1")
    stays = hospital.send("MRN2")
    hospital.send("MRN1", label="trial-8")
    ended = hospital.place.project("trial-8").id
    source = backups.taken()
    assert b"CANARY" not in source.read_bytes()
    who = hospital.file("mrn.txt", "MRN1\n")
    hospital.carried_out("subject", "withdraw", "--project", "trial-7", "--mrn-file", who, "--issuer", "HOSP")
    hospital.carried_out("project", "destroy", "trial-8", "--backup-days", "30")

    replace = () if isinstance(hospital.place, ServersPlace) else ("--replace",)
    case = backups.approved(source, *replace)
    options = token_options(hospital)
    carry = options if isinstance(hospital.place, ServersPlace) else ()
    assert "STW-011" in backups.restore(source, case, *carry, shares=1, code=2)
    backups.restore(source, case, *carry, "--out", hospital.folder / "papers-restore")
    papers = hospital.papers(hospital.folder / "papers-restore")
    assert papers["certificate"]["facts"]["ends_that_hold"] == 2
    assert "STW-002" in backups.restore(source, case, *carry, code=1)

    assert error_of(hospital.send, "MRN1").code == "LNK-017"
    assert hospital.send("MRN2") == stays
    text = hospital.opened_text()
    assert "MRN1" not in text
    assert f"{CANARY}^MRN2" in text
    assert error_of(lambda: hospital.send("MRN1", label="trial-8")).code == "LNK-009"
    if isinstance(hospital.place, ServersPlace):
        bao = hospital.place.bao
        for name in (root_key(ended, 1), seal_key(ended)):
            assert bao.call("GET", f"transit/keys/{name}")[0] == 404
        assert error_of(hospital.place.bao.vault().hmac, ended, 1, b"x").code == "LNK-009"
    hospital.reveal("audit", "verify")


@pytest.fixture
def taking_over(steward_hospital: StewardHospital) -> Iterator[Callable[[], Bao]]:
    """Start a server of the same configuration, at another address, with unseal keys of its own."""
    started: list[Bao] = []

    def start() -> Bao:
        place = steward_hospital.place
        assert isinstance(place, ServersPlace)
        folder = steward_hospital.folder / "vault-two"
        folder.mkdir()
        started.append(start_bao(folder, configured=False, audit_file=place.bao.audit_file))
        return started[0]

    yield start
    for server in started:
        server.close()


@SERVERS
@pytest.mark.slow
def test_a_new_server_takes_the_snapshot_and_wants_the_old_unseal_keys(
    steward_hospital: StewardHospital, taking_over: Callable[[], Bao]
) -> None:
    hospital = steward_hospital
    place = hospital.place
    assert isinstance(place, ServersPlace)
    backups = Backups(hospital)
    first = hospital.send("MRN1")
    source = backups.taken()
    raw = source.read_bytes()
    old = place.bao
    old.stop()
    new = taking_over()
    settings = hospital.folder / "state" / "steward.toml"
    text = settings.read_text().replace(old.address, new.address).replace(str(old.ca_file), str(new.ca_file))
    settings.write_text(text)
    token = private(hospital.folder / "first.token", new.token + "\n")
    case = backups.approved(source)

    def unseal() -> None:
        """The holders of the old unseal keys come when the server asks for them."""
        if new.call("GET", "sys/seal-status", token="")[1].get("sealed"):
            new.call("PUT", "sys/unseal", {"key": old.unseal_key}, token="")

    with again_and_again(unseal):
        said = backups.restore(source, case, "--vault-token-file", token, "--out", hospital.folder / "papers-restore")
    assert "Unseal it" in said
    new.token = old.token
    place.bao = new
    assert hospital.send("MRN1") == first
    assert f"{CANARY}^MRN1" in hospital.opened_text()
    assert source.read_bytes() == raw


@SERVERS
def test_the_backup_takes_no_key_out_of_the_server(steward_hospital: StewardHospital) -> None:
    hospital = steward_hospital
    place = hospital.place
    assert isinstance(place, ServersPlace)
    hospital.send("MRN1")
    project = place.project("trial-7").id
    for name in (root_key(project, 1), seal_key(project)):
        found = place.bao.admin("GET", f"transit/keys/{name}")["data"]
        assert not found["exportable"]
        assert not found["allow_plaintext_backup"]
        assert not found["deletion_allowed"]
        for way in ("export/encryption-key", "export/hmac-key", "backup"):
            assert place.bao.call("GET", f"transit/{way}/{name}")[0] >= 400
    token = place.bao.token_of("backup")
    for method, path in (
        ("GET", f"transit/keys/{seal_key(project)}"),
        ("LIST", "transit/keys"),
        ("POST", "sys/storage/raft/snapshot-force"),
        ("PUT", "sys/seal"),
    ):
        assert place.bao.call(method, path, token=token)[0] == 403, path


@SERVERS
@pytest.mark.slow
def test_a_restore_on_a_server_that_others_reach_is_refused(steward_hospital: StewardHospital) -> None:
    hospital = steward_hospital
    place = hospital.place
    assert isinstance(place, ServersPlace)
    backups = Backups(hospital)
    source = backups.taken()
    case = backups.approved(source)
    token = restore_token(place.bao, hospital.folder)
    settings = hospital.folder / "state" / "steward.toml"
    good = settings.read_text()
    settings.write_text(good.replace(place.bao.address, "https://vault.example:8200"))
    assert "STW-013" in backups.restore(source, case, "--vault-token-file", token, code=2)
    settings.write_text(good)
    # Somebody with a token that may not: nothing is replaced, and the case can be carried on.
    weak = private(hospital.folder / "weak.token", place.bao.token_of("backup") + "\n")
    assert re.search("LNK-030", backups.restore(source, case, "--vault-token-file", weak, code=4))
    backups.restore(source, case, "--vault-token-file", token)
