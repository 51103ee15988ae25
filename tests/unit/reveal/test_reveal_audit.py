"""The audit is written first, and shows what was taken out of it, up to its last anchor."""

from __future__ import annotations

import io
import json
import multiprocessing
import os

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reveal_hospital import START, Drawn, Hospital, code_of

from tarnhelm.common.errors import ANCHOR_AWAY, TarnhelmError
from tarnhelm.reveal.core.audit.anchors import DirectoryAnchor, heads_in
from tarnhelm.reveal.core.audit.lines import AUDIT_EVENTS, Head, make_line, parse_head, parse_line
from tarnhelm.reveal.core.audit.verify import ProblemKind, verify_chain, verify_directory
from tarnhelm.reveal.core.audit.writer import Audit, AuditSettings

KEY = Ed25519PrivateKey.from_private_bytes(Drawn("writer")(32))
PUBLIC = KEY.public_key().public_bytes_raw()


def clock():
    return START


def opened(folder, **wanted):
    return Audit(folder, "w", KEY, **{"clock": clock, **wanted})


def written(count, folder, **wanted):
    """Lines of an audit of ``count`` events, with what its anchor keeps."""
    anchor = DirectoryAnchor(folder / "elsewhere")
    with opened(folder / "audit", anchors=[anchor], **wanted) as audit:
        for number in range(count):
            audit.append("read", person="alice", lines=number)
    return (folder / "audit" / "w.jsonl").read_bytes(), list(anchor.heads("w"))


@pytest.fixture(scope="module")
def ten(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ten")
    folder.chmod(0o700)
    return written(10, folder)


def found(content, heads):
    report = verify_chain(content, "w", PUBLIC, heads)
    return None if report.problem is None else (report.problem.kind, report.problem.line)


def forged(lines, first, **changed):
    """Change line ``first`` and make it and all that follow fit again, as only who holds no head's key can."""
    rows = [parse_line(line) for line in lines]
    previous = rows[first - 2].sha if first > 1 else "0" * 64
    result = list(lines[: first - 1])
    for row in rows[first - 1 :]:
        fields = {**row.fields, **(changed if row.sequence == first else {})}
        made = make_line("w", row.sequence, row.time, row.event, previous, fields)
        previous = made.sha
        result.append(made.raw)
    return result


def joined(lines):
    return b"".join(line + b"\n" for line in lines)


def test_what_was_written_holds_up_to_the_last_line(ten):
    content, heads = ten
    report = verify_chain(content, "w", PUBLIC, heads)
    assert (report.problem, report.lines, report.anchored, report.heads) == (None, 10, 10, 1)
    assert report.anchored_time == START


@pytest.mark.parametrize("place", range(10))
def test_an_edited_line_is_named(ten, place):
    lines = ten[0].splitlines()
    lines[place] = lines[place].replace(b'"person":"alice"', b'"person":"mallory"')
    assert found(joined(lines), ten[1]) == (ProblemKind.CHANGED, place + 1)
    assert found(joined(lines), []) == (ProblemKind.CHANGED, place + 1)  # even without any head


@pytest.mark.parametrize("place", range(9))
def test_a_deleted_line_is_named(ten, place):
    lines = ten[0].splitlines()
    del lines[place]
    assert found(joined(lines), []) == (ProblemKind.DELETED, place + 1)


@pytest.mark.parametrize(("one", "other"), [(0, 1), (0, 9), (4, 5), (8, 9), (3, 7)])
def test_swapped_lines_are_named(ten, one, other):
    lines = ten[0].splitlines()
    lines[one], lines[other] = lines[other], lines[one]
    assert found(joined(lines), []) == (ProblemKind.MOVED, one + 1)


def test_a_line_put_in_is_named(ten):
    lines = ten[0].splitlines()
    assert found(joined([*lines[:4], lines[3], *lines[4:]]), []) == (ProblemKind.ADDED, 5)


@pytest.mark.parametrize("kept", range(10))
def test_a_truncation_before_the_anchor_is_named(ten, kept):
    content = joined(ten[0].splitlines()[:kept])
    assert found(content, ten[1]) == (ProblemKind.CUT, kept + 1)
    report = verify_chain(content, "w", PUBLIC, [])
    assert (report.problem, report.anchored) == (None, 0)  # without a head nobody can know, and the report says so


@pytest.mark.parametrize("first", range(1, 11))
def test_lines_made_anew_that_fit_together_do_not_fit_the_head(ten, first):
    content = joined(forged(ten[0].splitlines(), first, person="mallory"))
    assert found(content, []) is None
    assert found(content, ten[1]) == (ProblemKind.REWRITTEN, 1)


def test_lines_made_anew_between_two_heads_are_placed_between_them(tmp_path):
    content, heads = written(9, tmp_path, settings=AuditSettings(head_every_lines=4))
    assert [head.sequence for head in heads] == [4, 8, 9]
    assert found(joined(forged(content.splitlines(), 6, person="mallory")), heads) == (ProblemKind.REWRITTEN, 5)
    after = joined(forged(content.splitlines(), 9, person="mallory"))
    assert found(after, heads[:2]) is None  # after the last anchor nobody can know
    assert verify_chain(after, "w", PUBLIC, heads[:2]).anchored == 8


def test_heads_of_other_keys_are_false_and_those_of_other_writers_are_passed_over(ten):
    content, heads = ten
    eve = Ed25519PrivateKey.from_private_bytes(Drawn("eve")(32))
    line = parse_line(content.splitlines()[2])
    assert found(content, [*heads, Head.of(line, START, eve)]) == (ProblemKind.FALSE_HEAD, 3)
    assert found(content, [*heads, Head("other", 99, START, "0" * 64, b"")]) is None
    moved = Head(heads[0].writer, 5, heads[0].time, heads[0].sha, heads[0].signature)
    assert found(content, [moved]) == (ProblemKind.FALSE_HEAD, 5)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(place=st.integers(0, 10_000), byte=st.integers(1, 255))
def test_any_changed_byte_is_seen_in_its_line(ten, place, byte):
    content = bytearray(ten[0])
    place %= len(content)
    content[place] ^= byte
    line = ten[0][:place].count(b"\n") + 1
    report = verify_chain(bytes(content), "w", PUBLIC, ten[1])
    assert report.problem is not None
    assert report.problem.line in ({line, line + 1} if ten[0][place] == 10 else {line})


def test_a_writer_whose_file_is_gone_is_cut_from_line_1(tmp_path):
    _, heads = written(3, tmp_path)
    (tmp_path / "audit" / "w.jsonl").unlink()
    (report,) = verify_directory(tmp_path / "audit", {"w": PUBLIC}, heads)
    assert (report.problem.kind, report.problem.line) == (ProblemKind.CUT, 1)


def test_a_file_of_a_writer_that_nobody_enrolled_is_a_problem(tmp_path):
    written(1, tmp_path)
    (report,) = verify_directory(tmp_path / "audit", {}, [])
    assert report.problem.kind is ProblemKind.UNKNOWN_WRITER


# --- writing ----------------------------------------------------------------------------------------------------


def test_a_writer_goes_on_where_the_last_one_ended(tmp_path):
    with opened(tmp_path / "a") as audit:
        audit.append("read", person="alice", lines=1)
    with opened(tmp_path / "a") as audit:
        assert audit.append("read", person="alice", lines=2).sequence == 2
    assert found((tmp_path / "a" / "w.jsonl").read_bytes(), []) is None


def test_nothing_is_added_to_a_broken_chain(tmp_path):
    with opened(tmp_path / "a") as audit:
        audit.append("read", person="alice", lines=1)
        audit.append("read", person="alice", lines=2)
    path = tmp_path / "a" / "w.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"lines":1', b'"lines":3'))
    before = path.read_bytes()
    with pytest.raises(TarnhelmError) as caught:
        opened(tmp_path / "a")
    assert (caught.value.code, caught.value.facts["line"]) == ("RVL-021", 1)
    assert path.read_bytes() == before


def test_a_line_that_a_crash_left_unfinished_is_mended_and_told(tmp_path):
    with opened(tmp_path / "a") as audit:
        audit.append("read", person="alice", lines=1)
    path = tmp_path / "a" / "w.jsonl"
    with path.open("ab") as stream:
        stream.write(b'{"v":1,"wri')
    assert verify_chain(path.read_bytes(), "w", PUBLIC, []).torn == 11
    with opened(tmp_path / "a") as audit:
        assert audit.last.event == "mended"
        assert audit.last.fields == {"bytes": 11}
    assert found(path.read_bytes(), []) is None


def test_only_allowed_fields_and_words_get_in():
    for event, fields in (
        ("read", {"name": "x"}),
        ("read", {"person": "Doe^Jane"}),
        ("read", {"person": "two words"}),
        ("read", {"lines": 1.5}),
        ("read", {"lines": True}),
        ("unheard-of", {}),
    ):
        with pytest.raises(ValueError, match=r".+"):
            make_line("w", 1, START, event, "0" * 64, fields)
    assert not any({"surrogate", "purpose", "name", "value"} & fields for fields in AUDIT_EVENTS.values())


def test_each_line_is_on_the_disk_before_append_returns(tmp_path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda handle: (synced.append((tmp_path / "a" / "w.jsonl").read_bytes()), real(handle))
    )
    with opened(tmp_path / "a") as audit:
        line = audit.append("read", person="alice", lines=1)
        assert synced[-1].endswith(line.raw + b"\n")


def test_after_a_failed_write_a_writer_writes_no_more(tmp_path, monkeypatch):
    audit = opened(tmp_path / "a")

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert code_of(lambda: audit.append("read", person="alice", lines=1)) == "RVL-022"
    assert code_of(lambda: audit.append("read", person="alice", lines=2)) == "RVL-022"
    audit.close()


def hold(folder, ready, leave):
    with opened(folder):
        ready.set()
        leave.wait(20)


def test_a_second_process_waits_for_the_file_and_then_gives_up(tmp_path):
    context = multiprocessing.get_context("fork")
    ready, leave = context.Event(), context.Event()
    child = context.Process(target=hold, args=(tmp_path / "a", ready, leave))
    child.start()
    assert ready.wait(20)
    assert code_of(lambda: opened(tmp_path / "a", settings=AuditSettings(lock_seconds=0.1))) == "RVL-022"
    leave.set()
    child.join()
    opened(tmp_path / "a").close()


def test_a_head_is_anchored_after_so_many_lines_and_after_so_long(tmp_path):
    anchor, now = DirectoryAnchor(tmp_path / "elsewhere"), [START]
    bounds = AuditSettings(head_every_lines=3, head_every_seconds=60)
    with opened(tmp_path / "a", anchors=[anchor], clock=lambda: now[0], settings=bounds) as audit:
        for _ in range(7):
            audit.append("read", person="alice", lines=1)
        assert [head.sequence for head in anchor.heads("w")] == [3, 6]
        now[0] += 60
        audit.append("read", person="alice", lines=1)
        assert [head.sequence for head in anchor.heads("w")] == [3, 6, 8]
        audit.append("read", person="alice", lines=1)
    assert [head.sequence for head in anchor.heads("w")] == [3, 6, 8, 9]


def test_the_clock_may_not_go_back_behind_the_last_line(tmp_path):
    now = [START]
    with opened(tmp_path / "a", clock=lambda: now[0]) as audit:
        audit.append("read", person="alice", lines=1)
        now[0] -= 300
        assert audit.append("read", person="alice", lines=2).time == START
        now[0] -= 1
        assert code_of(lambda: audit.append("read", person="alice", lines=3)) == "RVL-013"


class Away:
    """An anchor and a log server that take nothing."""

    def put(self, *_):
        raise TarnhelmError(ANCHOR_AWAY)

    def line(self, *_, **__):
        raise TarnhelmError(ANCHOR_AWAY)


def test_without_anchor_or_log_server_nothing_is_answered(hospital, monkeypatch):
    case = hospital.approved()
    with monkeypatch.context() as patch:
        patch.setattr(hospital.desk._audit, "_anchors", (Away(),))
        assert code_of(lambda: hospital.use(case)) == "RVL-023"
        patch.setattr(hospital.desk._audit, "_anchors", ())
        patch.setattr(hospital.desk._audit, "_sinks", (Away(),))
        assert code_of(lambda: hospital.use(case)) == "RVL-023"
    assert hospital.use(case)  # nothing was lost


def test_a_directory_that_cannot_be_written_is_an_anchor_away(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    line = make_line("w", 1, START, "read", "0" * 64, {})
    assert code_of(lambda: DirectoryAnchor(tmp_path / "file").put(Head.of(line, START, KEY))) == "RVL-023"
    assert code_of(lambda: DirectoryAnchor(tmp_path / "no" / "parent").put(Head.of(line, START, KEY))) == "RVL-023"


# --- the register is tied to the audit --------------------------------------------------------------------------


def test_a_revocation_cut_off_the_register_is_seen(hospital):
    hospital.revoke("bob")
    hospital.close()
    path = hospital.here.folder / "people.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    assert hospital.register.active("bob")  # the file alone does not show it
    for look in (hospital.reopen, hospital.here.verify):
        with pytest.raises(TarnhelmError) as caught:
            look()
        assert (caught.value.code, caught.value.facts["line"]) == ("RVL-005", len(lines))
    path.write_bytes(b"".join(lines))
    hospital.reopen()


def test_a_line_of_the_register_that_a_crash_kept_from_the_audit_is_told_later(hospital):
    hospital.close()
    people = hospital.here.people()
    register = people.load()
    people._append(register.revoke("bob", hospital.keys["alice"], START))
    hospital.reopen()
    assert hospital.audit_lines()[-1].fields["register"] == register.digest
    assert hospital.audit_lines()[-1].fields["change"] == "found"


def test_verify_works_while_another_process_writes(hospital):
    hospital.opened()  # the desk holds the audit's lock
    before = (hospital.here.folder / "audit" / "local.jsonl").read_bytes()
    (report,) = hospital.here.verify()
    assert report.problem is None
    assert (hospital.here.folder / "audit" / "local.jsonl").read_bytes() == before


def test_heads_are_found_in_what_a_log_server_wrote():
    line = make_line("w", 7, START, "read", "0" * 64, {})
    head = Head.of(line, START, KEY)
    log = b"Nov 24 gate tarnhelm-reveal[1]: noise\nNov 24 gate tarnhelm-reveal[1]: " + head.to_bytes() + b" tail\n"
    assert list(heads_in(io.BytesIO(log))) == [head]
    assert parse_head(b'{"head":{}}') is None
    assert parse_head(json.dumps({"head": head.document()}).encode()) is None


def test_verify_counts_the_anchors_of_the_settings(tmp_path):
    (tmp_path / "share").mkdir()
    with Hospital(tmp_path / "state", anchors=[str(tmp_path / "share")]).open() as hospital:
        hospital.use(hospital.approved())
        hospital.close()
        (report,) = hospital.here.verify()
        assert report.problem is None
        assert report.anchored == report.lines > 5
        path = hospital.here.folder / "audit" / "local.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:-1]))
        (report,) = hospital.here.verify()
        assert (report.problem.kind, report.problem.line) == (ProblemKind.CUT, len(lines))
        path.write_bytes(b"".join(lines))
        hospital.reopen()
