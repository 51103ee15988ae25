"""What "accepted" means, and what becomes of the second, the changed and the impossible."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace

import pytest
from tests.support.stream import DOORS, PROJECT, WorldSettings, fake, world

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import Limits
from tarnhelm.gateway.intake import Arrival, Reception
from tarnhelm.gateway.record import State
from tarnhelm.gateway.stream import road
from tarnhelm.gateway.stream.admission import OnUpdate


def stored(one, object_id):
    with one.blobs.open(road.raw_blob(object_id)) as reader:
        return b"".join(reader)


@pytest.mark.parametrize("memory", [100, 1 << 20])
@pytest.mark.parametrize("size", [0, 50, 70_000, 300_000])
def test_what_was_written_is_what_is_kept(tmp_path, memory, size):
    with world(tmp_path, WorldSettings(memory_bytes=memory)) as one:
        data = fake(1, pad=size)
        receipt = one.send(data, uid="1.2.3")
        assert stored(one, receipt.object_id) == data
        record = one.state.get(receipt.object_id)
        assert (record.state, record.size, record.project, record.door) == (State.ADMITTED, len(data), PROJECT, DOORS)
        assert record.object_id == one.keys.object_id(PROJECT, hashlib.sha256(data).digest())
        assert record.uid_digest == one.keys.uid_digest(PROJECT, "1.2.3")
        assert not list((tmp_path / "scratch").iterdir()), "what is on its way has no name"


def test_nothing_is_kept_of_what_was_not_committed(tmp_path):
    with world(tmp_path) as one:
        with one.admitter.begin(Arrival(PROJECT, DOORS)) as intake:
            intake.write(b"half")
        assert not list(one.blobs.listing("raw"))
        assert not list(one.state.records())
        assert one.room.arriving == (0, 0)


def test_a_project_without_a_plan_and_an_object_beyond_the_bound_are_refused(tmp_path):
    with world(tmp_path) as one:
        with pytest.raises(TarnhelmError) as caught:
            one.admitter.begin(Arrival("nobody", DOORS))
        assert caught.value.code == "GTW-021"
        one.admitter.settings = replace(one.admitter.settings, limits=Limits(max_object_bytes=100))
        with pytest.raises(TarnhelmError) as caught:
            one.admitter.begin(Arrival(PROJECT, DOORS, size=101))
        assert caught.value.code == "LIM-001"
        with one.admitter.begin(Arrival(PROJECT, DOORS)) as intake:
            intake.write(b"x" * 100)
            with pytest.raises(TarnhelmError):
                intake.write(b"x")
        assert one.room.arriving == (0, 0)


def test_of_many_senders_of_one_object_one_is_first(tmp_path):
    with world(tmp_path) as one:
        found = []
        threads = [threading.Thread(target=lambda: found.append(one.send(fake(1), uid="1.2"))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(receipt.reception for receipt in found) == [Reception.ACCEPTED, *[Reception.DUPLICATE] * 7]
        assert len({receipt.object_id for receipt in found}) == 1


def test_supersede_rejects_what_no_verdict_covers_and_leaves_what_was_released(tmp_path):
    with world(tmp_path) as one:
        first = one.send(fake(1, pad=1), uid="1.2")
        one.start()
        one.wait(State.VERIFIED, count=1)
        one.stop()
        assert one.release() == 1
        second = one.send(fake(1, pad=2), uid="1.2")
        third = one.send(fake(1, pad=3), uid="1.2")
        assert third.reception is Reception.ACCEPTED
        older = one.state.get(second.object_id)
        assert (older.state, older.code) == (State.REJECTED, "GTW-024")
        one.start()
        one.wait(State.VERIFIED, count=1)
        one.stop()
        released = [one.state.get(first.object_id), one.state.get(third.object_id)]
        assert [record.state for record in released] == [State.RELEASED, State.VERIFIED]
        assert one.stage.calls[second.object_id] == 0, "its message found it rejected"


def test_supersede_reaches_what_is_held(tmp_path):
    with world(tmp_path) as one:
        first = one.send(fake(1, behaviour="text"), uid="1.2")
        one.start()
        one.wait(State.QUARANTINED, count=1)
        one.send(fake(1), uid="1.2")
        one.wait(State.VERIFIED, count=1)
        assert one.state.get(first.object_id).state is State.REJECTED


def test_keep_first_keeps_nothing_of_the_second(tmp_path):
    with world(tmp_path, WorldSettings(on_update=OnUpdate.KEEP_FIRST)) as one:
        first = one.send(fake(1, pad=1), uid="1.2")
        second = one.send(fake(1, pad=2), uid="1.2")
        assert (second.reception, second.object_id) == (Reception.KEPT_FIRST, first.object_id)
        assert [blob.name.object_id for blob in one.blobs.listing("raw")] == [first.object_id]
        assert one.send(fake(2, pad=2), uid="1.3").reception is Reception.ACCEPTED


def test_quarantine_holds_the_second(tmp_path):
    with world(tmp_path, WorldSettings(on_update=OnUpdate.QUARANTINE)) as one:
        one.send(fake(1, pad=1), uid="1.2")
        second = one.send(fake(1, pad=2), uid="1.2")
        assert (second.reception, second.code) == (Reception.HELD, "GTW-025")
        assert one.state.get(second.object_id).state is State.QUARANTINED
        one.start()
        one.wait(State.VERIFIED, count=1)
        one.decisions.retry(second.object_id, by="somebody", reason="it is the better one")
        one.wait(State.VERIFIED, count=2)


def test_a_blob_without_a_record_is_taken_over(tmp_path):
    def die(name):
        if name == "admit: before the record":
            raise ZeroDivisionError

    with world(tmp_path, failpoint=die) as one:
        with pytest.raises(ZeroDivisionError):
            one.send(fake(1))
        assert list(one.blobs.listing("raw"))
        one.admitter.failpoint = lambda _name: None
        assert one.send(fake(1)).reception is Reception.ACCEPTED
        one.start()
        one.wait(State.VERIFIED, count=1)
