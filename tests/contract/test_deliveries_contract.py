"""What every delivery store promises; one suite over each implementation."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.stage import ObjectFacts
from tarnhelm.gateway.deliveries import DeliveryRecord, DeliveryState, Planned, SqliteDeliveries
from tarnhelm.gateway.deliveries.postgres import PostgresDeliveries
from tarnhelm.gateway.manifest import ManifestKey, ReleaseEntry, signed_line, verify_lines

SHA = "a" * 64


class Opener:
    """Opens the same store again and again."""

    def __init__(self, make):
        self._make = make
        self.opened = []

    def __call__(self):
        self.opened.append(self._make())
        return self.opened[-1]


@pytest.fixture(params=["sqlite", "postgres"])
def opener(request, tmp_path):
    if request.param == "sqlite":
        made = Opener(lambda: SqliteDeliveries(tmp_path / "deliveries.sqlite"))
    else:
        address = request.getfixturevalue("postgres").database()
        made = Opener(lambda: PostgresDeliveries(address, connections=4))
    yield made
    for store in made.opened:
        store.close()


@pytest.fixture
def store(opener):
    return opener()


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return ManifestKey.open(tmp_path_factory.mktemp("key") / "manifest.key")


def planned(object_id, *destinations, sha256=SHA, sop="2.25.1", study="2.25.2", **changes):
    deliveries = tuple(DeliveryRecord(object_id, name, sha256) for name in destinations or ("pacs",))
    named = Planned(object_id, sha256, "project", "TH-1", study, sop, f"TH-1/{object_id}.dcm", deliveries)
    return replace(named, **changes)


def signer(key, writer="gateway"):
    def sign(one, sequence, previous, supersedes):
        facts = ObjectFacts(sop_uid=one.sop_instance, study_uid=one.study, subject_id=one.patient_id)
        names = tuple(delivery.destination for delivery in one.deliveries)
        entry = ReleaseEntry(
            one.object_id, one.project, facts, one.path, one.sha256, 7, "r", "p", "d", "v", names, 1.0, supersedes
        )
        return signed_line(key, writer, sequence, previous, entry)

    return sign


def test_a_plan_makes_lines_and_deliveries_once(store, key):
    for _ in range(2):
        store.plan("gateway", [planned("b", "pacs", "disk"), planned("a", sop="2.25.9")], signer(key), 10.0)
    assert [one.destination for one in store.of("b")] == ["disk", "pacs"]
    lines = [content for _, content in store.lines("gateway")]
    assert [json.loads(line)["document"]["object"] for line in lines] == ["a", "b"]
    found = verify_lines(lines, [key.public], whole=True)
    assert (found.bad_line, found.lines) == (0, 2)
    assert store.writers() == ["gateway"]
    assert store.line("b", SHA) == (lines[1], "")
    assert store.line("b", "b" * 64) == (b"", "")


def test_a_sign_that_fails_leaves_nothing(store, key):
    def broken(*_arguments):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.plan("gateway", [planned("a")], broken, 1.0)
    assert not store.of("a")
    assert not list(store.lines("gateway"))


def test_other_bytes_begin_anew_and_name_the_version_before(store, key):
    store.plan("gateway", [planned("a")], signer(key), 1.0)
    (claimed,) = store.claim("pacs", 1.0, 5.0, 9)
    store.settle([replace(claimed, state=DeliveryState.DELIVERED)])
    store.plan("gateway", [planned("a", sha256="b" * 64)], signer(key), 2.0)
    assert [(one.state, one.attempts, one.sha256) for one in store.of("a")] == [(DeliveryState.DUE, 0, "b" * 64)]
    store.plan("gateway", [planned("c", sha256="c" * 64)], signer(key), 3.0)
    assert store.line("c", "c" * 64)[1] == "a"
    assert len(list(store.lines("gateway"))) == 3
    store.settle([replace(claimed, state=DeliveryState.DELIVERED)])
    assert store.of("a")[0].state is DeliveryState.DUE, "what was delivered were other bytes"


def test_a_claim_is_alone_until_its_lease_is_over(store, key):
    store.plan("gateway", [planned("a"), planned("b", sop="2.25.9")], signer(key), 1.0)
    (first,) = store.claim("pacs", 1.0, 5.0, 1)
    (second,) = store.claim("pacs", 1.0, 5.0, 9)
    assert {first.object_id, second.object_id} == {"a", "b"}
    assert not store.claim("pacs", 5.9, 5.0, 9)
    assert not store.claim("disk", 100.0, 5.0, 9)
    store.renew([first], 20.0)
    (again,) = store.claim("pacs", 6.1, 5.0, 9)
    assert (again.object_id, again.attempts) == (second.object_id, 2)
    store.settle([replace(second, state=DeliveryState.HELD, code="DLV-011")])
    assert store.of(second.object_id)[0].state is DeliveryState.DUE, "somebody else has it in hand"
    store.settle([replace(second, state=DeliveryState.DELIVERED)])
    assert store.of(second.object_id)[0].state is DeliveryState.DELIVERED


def test_a_plan_may_claim_what_it_enters_and_nothing_that_stands_already(store, key):
    mine = replace(planned("a", "disk", "pacs"), deliveries=())
    records = (DeliveryRecord("a", "disk", SHA, attempts=1, due=6.0), DeliveryRecord("a", "pacs", SHA))
    (begun,) = store.plan("gateway", [replace(mine, deliveries=records)], signer(key), 1.0)
    assert begun.delivery == records[0]
    assert (begun.line, begun.supersedes) == store.line("a", SHA)
    assert [(one.destination, one.attempts) for one in store.claim("pacs", 1.0, 5.0, 9)] == [("pacs", 1)]
    assert not store.claim("disk", 5.9, 5.0, 9), "it is in hand"
    assert not store.plan("gateway", [replace(mine, deliveries=records)], signer(key), 1.0)
    (again,) = store.claim("disk", 6.1, 5.0, 9)
    assert again.attempts == 2
    store.settle([replace(records[0], state=DeliveryState.HELD, code="DLV-011")])
    assert store.of("a")[0].state is DeliveryState.DUE, "somebody else has it in hand"


def test_a_claim_of_other_bytes_begins_anew_with_its_own_line(store, key):
    store.plan("gateway", [planned("a")], signer(key), 1.0)
    record = DeliveryRecord("a", "pacs", "b" * 64, attempts=1, due=6.0)
    other = replace(planned("a", sha256="b" * 64), deliveries=(record,))
    (begun,) = store.plan("gateway", [other], signer(key), 1.0)
    assert (begun.line, begun.supersedes) == store.line("a", "b" * 64) == (begun.line, "a")
    assert store.of("a") == [record]


def test_a_line_that_stands_already_is_not_told_again(store, key):
    store.plan("gateway", [planned("a", "disk")], signer(key), 1.0)
    record = DeliveryRecord("a", "pacs", SHA, attempts=1, due=6.0)
    (begun,) = store.plan("gateway", [replace(planned("a"), deliveries=(record,))], signer(key), 1.0)
    assert (begun.delivery, begun.line, begun.supersedes) == (record, b"", "")


def test_deliveries_of_several_objects_are_found_together(store, key):
    names = [f"{n:032d}" for n in range(520)]
    store.plan("gateway", [planned(name, "pacs", "disk", sop=f"2.25.{name}") for name in names], signer(key), 1.0)
    found = store.of_all([*names, "nobody"])
    assert sorted(found) == names
    assert [one.destination for one in found[names[7]]] == ["disk", "pacs"]
    assert found[names[7]] == store.of(names[7])
    assert store.of_all([]) == {}


def test_what_has_ended_is_written_down_with_what_is_settled(store, key):
    store.plan("gateway", [planned("a"), planned("b", sop="2.25.9")], signer(key), 1.0)
    claimed = store.claim("pacs", 1.0, 5.0, 2)
    store.settle([replace(one, state=DeliveryState.DELIVERED) for one in claimed], ["a"])
    assert store.waiting_for_nothing() == ["b"]
    store.settle([], ["b"])
    assert store.waiting_for_nothing() == []


def test_what_failed_comes_again_at_its_time(store, key):
    store.plan("gateway", [planned("a")], signer(key), 1.0)
    (claimed,) = store.claim("pacs", 1.0, 5.0, 1)
    store.settle([replace(claimed, due=30.0, code="DLV-001", doubts=1)])
    assert not store.claim("pacs", 29.0, 5.0, 1)
    (again,) = store.claim("pacs", 31.0, 5.0, 1)
    assert (again.attempts, again.doubts, again.code) == (2, 1, "DLV-001")
    assert store.oldest_due() == {"pacs": 1.0}


def test_held_ones_are_listed_retried_and_given_up(store, key):
    store.plan("gateway", [planned("a", "disk", "pacs")], signer(key), 1.0)
    assert not store.retry("a", "pacs", 2.0)
    (claimed,) = store.claim("pacs", 1.0, 5.0, 1)
    store.settle([replace(claimed, state=DeliveryState.HELD, code="DLV-011")])
    assert [one.code for one in store.listing(DeliveryState.HELD)] == ["DLV-011"]
    assert not store.listing(DeliveryState.HELD, "disk")
    assert store.retry("a", "pacs", 2.0)
    assert store.of("a")[1].state is DeliveryState.DUE
    assert store.waive("a", "pacs")
    assert not store.waive("a", "nobody")
    assert store.counts() == {("disk", DeliveryState.DUE): 1, ("pacs", DeliveryState.WAIVED): 1}


def test_what_waits_for_nothing_is_found_until_it_has_ended(store, key):
    store.plan("gateway", [planned("a"), planned("b", sop="2.25.9")], signer(key), 1.0)
    assert store.waiting_for_nothing() == []
    for claimed in store.claim("pacs", 1.0, 5.0, 2):
        store.settle([replace(claimed, state=DeliveryState.DELIVERED)])
    assert store.waiting_for_nothing() == ["a", "b"]
    assert store.waiting_for_nothing("a", 1) == ["b"]
    store.ended(["a"])
    assert store.waiting_for_nothing() == ["b"]
    store.drop("b")
    assert store.waiting_for_nothing() == []
    assert not store.of("b")
    assert store.line("b", SHA)[0], "a line is for ever"


def test_tombstones_and_steps_stay(store):
    store.bury([b"x" * 32, b"y" * 32], "order", 1.0)
    store.bury([b"x" * 32], "other", 2.0)
    assert store.buried([b"z" * 32, b"y" * 32])
    assert not store.buried([b"z" * 32])
    assert not store.buried([])
    store.tell("order", "disk", 1.0)
    store.tell("order", "disk", 2.0)
    assert store.told("order") == {"disk"}
    assert store.told("other") == frozenset()


def test_the_manifest_finds_a_patients_and_a_studys_releases(store, key):
    one = planned("a")
    two = planned("b", sop="2.25.9", study="2.25.7", patient_id="TH-2")
    store.plan("gateway", [one, two, planned("c", project="other", sop="2.25.8")], signer(key), 1.0)
    assert [found.object_id for found in store.released("project", ["TH-1"], [])] == ["a"]
    assert [found.object_id for found in store.released("project", ["TH-1"], ["2.25.7"])] == ["a", "b"]
    assert store.released("project", ["TH-1"], [])[0].path == "TH-1/a.dcm"


def test_writers_of_several_processes_make_one_whole_chain_and_one_line_for_each_object(opener, key):
    stores = [opener() for _ in range(4)]
    begin = threading.Barrier(4)

    def work(number):
        begin.wait(30)
        writer = f"gateway-{number % 2}"
        for start in range(0, 40, 5):
            batch = [planned(f"{n:032d}", sop=f"2.25.{n}") for n in range(start, start + 5)]
            stores[number].plan(writer, batch, signer(key, writer), 1.0)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    store = stores[0]
    lines = [content for writer in store.writers() for _, content in store.lines(writer)]
    found = verify_lines(lines, [key.public], whole=True)
    assert (found.bad_line, found.lines) == (0, 40)
    assert len(store.listing(DeliveryState.DUE)) == 40


def test_claims_of_several_processes_never_meet(opener, key):
    stores = [opener() for _ in range(3)]
    stores[0].plan("gateway", [planned(f"{n:032d}", sop=f"2.25.{n}") for n in range(60)], signer(key), 1.0)
    begin = threading.Barrier(3)

    def work(store):
        begin.wait(30)
        found = []
        while claimed := store.claim("pacs", 1.0, 500.0, 4):
            found += [one.object_id for one in claimed]
        return found

    with ThreadPoolExecutor(3) as pool:
        found = [name for names in pool.map(work, stores) for name in names]
    assert sorted(found) == [f"{n:032d}" for n in range(60)]


def test_a_store_of_another_kind_is_refused(tmp_path):
    (tmp_path / "state.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(TarnhelmError) as caught:
        SqliteDeliveries(tmp_path / "state.sqlite")
    assert caught.value.code == "GTW-006"
