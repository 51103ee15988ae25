"""Backing up and restoring the files of one machine: what comes back, and what ended since and stays ended."""

from __future__ import annotations

import io
import stat
import tarfile
from contextlib import contextmanager

import pytest
from steward_ward import START, Drawn, code_of

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.core.projects import ProjectSettings
from tarnhelm.reveal.steward.backup import open_backup, write_backup
from tarnhelm.reveal.steward.certificate import read_certificate
from tarnhelm.reveal.steward.keys import destroy_act, destroy_work
from tarnhelm.reveal.steward.local_backup import pack, unpack_and_place
from tarnhelm.reveal.steward.pairs import Patient
from tarnhelm.reveal.steward.reapply import apply_ends
from tarnhelm.reveal.steward.recovery import join_shares, new_shares
from tarnhelm.reveal.steward.restore import local_restore, restore_act
from tarnhelm.reveal.steward.withdrawal import by_patients, withdraw_act, withdraw_work

KEY, SHARES = new_shares(2, 3, Drawn("recovery"))


@contextmanager
def spool():
    with io.BytesIO() as stream:
        yield stream


def backed_up(ward):
    target = io.BytesIO()
    write_backup(target, KEY, "local", pack(ward.state, io.BytesIO()), now=START, random=Drawn("backup"))
    return target.getvalue()


def restored(ward, raw, *, shares=SHARES[:2], replace=False):
    stream = io.BytesIO(raw)
    act = restore_act(stream, replace=replace)
    return ward.done(act, lambda office: local_restore(ward.state, stream, shares, office.ends, spool()))[1]


def withdrawn(ward, mrn):
    act = withdraw_act(ward.project, by_patients(ward.place.identities(ward.project), [Patient(mrn, "HOSP")]))
    return ward.done(act, lambda office: withdraw_work(ward.place, ward.project, office.ends))


def destroyed(ward, label):
    project = ward.linkage.projects.get(label)
    return ward.done(destroy_act(project, 90), lambda office: destroy_work(ward.place, project, office.ends))


def lost(ward):
    """What a lost disk takes: keys, projects and ledgers. People, cases, audit and the book lie elsewhere."""
    for part in ("keys", "projects", "ledger"):
        for path in sorted((ward.state / part).glob("**/*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()


def test_after_a_lost_disk_everything_is_there_again(ward):
    first = ward.send("MRN1")
    raw = backed_up(ward)
    lost(ward)
    assert code_of(lambda: ward.send("MRN1")) == "LNK-001"
    papers = restored(ward, raw)
    assert ward.send("MRN1") == first
    assert "CANARY^MRN1" in ward.opened_text()
    document = read_certificate(papers["certificate"], ward.here.people().load().writers()).document
    assert document["certificate"] == "restore"
    assert document["facts"]["ends_that_hold"] == 0
    assert document["facts"]["files_brought_back"] == 4
    assert document["facts"]["files_that_were_there_and_stayed"] == 0
    for path in (*ward.state.rglob("*"),):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert not (ward.state / "restoring").exists()


@pytest.mark.parametrize("replace", [False, True])
def test_who_was_withdrawn_since_the_backup_does_not_come_back(ward, replace):
    ward.send("MRN1")
    stays = ward.send("MRN2")
    raw = backed_up(ward)
    withdrawn(ward, "MRN1")
    if not replace:
        lost(ward)
    papers = restored(ward, raw, replace=replace)
    text = ward.opened_text()
    assert "MRN1" not in text
    assert "CANARY^MRN2" in text
    assert code_of(lambda: ward.send("MRN1")) == "LNK-017"
    assert ward.send("MRN2") == stays
    document = read_certificate(papers["certificate"], ward.here.people().load().writers()).document
    assert document["facts"]["ends_that_hold"] == 1
    for path in ward.state.rglob("*"):
        assert not path.is_file() or b"MRN1" not in path.read_bytes(), path


@pytest.mark.parametrize("replace", [False, True])
def test_a_project_that_was_destroyed_since_the_backup_does_not_come_back(ward, replace):
    ward.linkage.create("trial-8", ProjectSettings())
    ward.send("MRN1", label="trial-8")
    stays = ward.send("MRN1")
    raw = backed_up(ward)
    roots = {
        path.read_bytes()
        for path in (ward.state / "keys" / ward.linkage.projects.get("trial-8").id).iterdir()
        if path.stat().st_size
    }
    destroyed(ward, "trial-8")
    if not replace:
        lost(ward)
    restored(ward, raw, replace=replace)
    assert code_of(lambda: ward.send("MRN1", label="trial-8")) == "LNK-009"
    assert ward.send("MRN1") == stays
    kept = [path.read_bytes() for path in ward.state.rglob("*") if path.is_file()]
    assert not [content for content in kept if any(root in content for root in roots)]


def test_what_is_there_is_replaced_only_where_the_case_says_so(ward):
    ward.send("MRN1")
    raw = backed_up(ward)
    later = ward.send("MRN2")
    restored(ward, raw)
    assert "CANARY^MRN2" in ward.opened_text()
    restored(ward, raw, replace=True)
    assert "CANARY^MRN2" not in ward.opened_text()
    assert ward.send("MRN2") == later  # surrogates come from the key, not from the ledger


def test_too_few_shares_and_another_backup_spend_nothing(ward):
    ward.send("MRN1")
    raw, other = backed_up(ward), backed_up(ward)
    stream = io.BytesIO(raw)
    case = ward.approved(restore_act(stream, replace=True))

    def carried_out(source, shares):
        return ward.carried_out(
            case, lambda office: local_restore(ward.state, io.BytesIO(source), shares, office.ends, spool())
        )

    assert code_of(lambda: carried_out(raw, SHARES[:1])) == "STW-011"
    _, strange = new_shares(2, 3, Drawn("others"))
    assert code_of(lambda: carried_out(raw, strange[:2])) == "STW-011"
    ward.send("MRN3")
    newer = io.BytesIO()
    write_backup(newer, KEY, "local", pack(ward.state, io.BytesIO()), now=START, random=Drawn("newer"))
    assert other == raw  # nothing was written in between
    assert code_of(lambda: carried_out(newer.getvalue(), SHARES[:2])) == "STW-012"
    assert code_of(lambda: carried_out(raw[:-4], SHARES[:2])) == "STW-012"
    assert "CANARY^MRN3" in ward.opened_text()
    assert carried_out(raw, SHARES[1:])
    assert "CANARY^MRN3" not in ward.opened_text()


def test_without_the_whole_book_of_ends_nothing_is_restored(ward):
    ward.send("MRN1")
    raw = backed_up(ward)
    withdrawn(ward, "MRN1")
    book = ward.here.folder / "ends.jsonl"
    kept = book.read_bytes()
    book.write_bytes(b"")
    assert code_of(lambda: restored(ward, raw, replace=True)) == "STW-009"
    assert "MRN1" not in ward.opened_text()
    # The copy in other hands brings it back.
    with ward.office() as office:
        office.ends.take_over((ward.share / "ends.jsonl").read_bytes())
    assert book.read_bytes() == kept
    restored(ward, raw, replace=True)
    assert "MRN1" not in ward.opened_text()


def test_a_book_that_was_edited_or_is_another_is_refused(ward):
    ward.send("MRN1")
    ward.send("MRN2")
    withdrawn(ward, "MRN1")
    withdrawn(ward, "MRN2")
    book = ward.here.folder / "ends.jsonl"
    good = book.read_bytes()
    first, second = good.splitlines(keepends=True)
    for bad, line in (
        (second, 1),
        (second + first, 1),
        (good.replace(b'"withdrawn"', b'"destroyed"'), 1),
        (first + b"{}\n", 2),
    ):
        book.write_bytes(bad)
        with ward.office() as office, pytest.raises(TarnhelmError) as caught:
            office.ends.load()
        assert (caught.value.code, caught.value.facts) == ("STW-009", {"line": line})
    book.write_bytes(first)  # cut: the audit was told of two
    with ward.office() as office:
        assert code_of(office.ends.load) == "STW-009"
        assert office.ends.take_over(good).lines == tuple(good.splitlines())


def test_a_death_at_any_point_is_carried_on_and_serves_nothing_that_ended(ward, monkeypatch):
    ward.send("MRN1")
    raw = backed_up(ward)
    withdrawn(ward, "MRN1")
    lost(ward)
    stream = io.BytesIO(raw)
    case = ward.approved(restore_act(stream, replace=False))

    def carried_out():
        return ward.carried_out(
            case, lambda office: local_restore(ward.state, stream, SHARES[:2], office.ends, spool())
        )

    for place in ("_unpack", "apply_ends", "_move"):
        with monkeypatch.context() as patched:
            patched.setattr(f"tarnhelm.reveal.steward.local_backup.{place}", lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                carried_out()
        assert code_of(lambda: ward.send("MRN1")) == "LNK-001"
        assert not (ward.state / "restoring").exists()
    assert carried_out()
    assert code_of(lambda: ward.send("MRN1")) == "LNK-017"
    assert code_of(carried_out) == "STW-002"


def test_a_backup_holds_no_people_no_cases_no_audit_and_no_book(ward):
    ward.send("MRN1")
    withdrawn(ward, "MRN1")
    plain = b"".join(open_backup(io.BytesIO(backed_up(ward)), join_shares(SHARES[:2])))
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        names = archive.getnames()
    project = ward.project.id
    assert set(names) == {
        f"keys/{project}/root-1.key",
        f"keys/{project}/recipient.pub",
        f"projects/{project}.json",
        f"ledger/{project}.sqlite",
    }


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../escape", tarfile.REGTYPE),
        ("/etc/escape", tarfile.REGTYPE),
        ("reveal/people.jsonl", tarfile.REGTYPE),
        ("keys/a/../../escape", tarfile.REGTYPE),
        ("keys/abc/root-1.key", tarfile.SYMTYPE),
        ("keys/abc/root-1.key", tarfile.LNKTYPE),
        ("keys/abc", tarfile.DIRTYPE),
        ("keys/abc/root-1.key", tarfile.FIFOTYPE),
    ],
)
def test_an_archive_brings_nothing_but_its_own_kinds_of_files(ward, name, kind):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info, io.BytesIO())
    made.seek(0)
    with ward.office() as office:
        book = office.ends.load()
    assert code_of(lambda: unpack_and_place(ward.state, made, book, replace=True)) == "STW-012"
    assert not (ward.folder / "escape").exists()
    assert not (ward.state / "restoring").exists()


def test_ends_are_applied_to_what_was_put_back_by_other_means(ward):
    ward.send("MRN1")
    ledger = ward.state / "ledger" / f"{ward.project.id}.sqlite"
    copy = ledger.read_bytes()
    withdrawn(ward, "MRN1")
    for suffix in ("-wal", "-shm"):
        ledger.with_name(ledger.name + suffix).unlink(missing_ok=True)
    ledger.write_bytes(copy)
    ward.send("MRN1")  # a ledger that somebody put back by hand knows of no withdrawal
    with ward.office() as office:
        assert apply_ends(ward.place, office.ends.load()) == 1
    assert "MRN1" not in ward.opened_text()
    assert code_of(lambda: ward.send("MRN1")) == "LNK-017"
