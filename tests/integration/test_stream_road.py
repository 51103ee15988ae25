"""One object's whole road through the real broker, blobs and state."""

from __future__ import annotations

from tests.support.stream import cleaned, fake, world

from tarnhelm.gateway.intake import Reception
from tarnhelm.gateway.record import State
from tarnhelm.gateway.stream import road


def test_an_object_goes_from_a_door_to_verified(tmp_path):
    with world(tmp_path) as one:
        receipts = [one.send(fake(number), uid=f"1.2.{number}") for number in range(20)]
        assert {receipt.reception for receipt in receipts} == {Reception.ACCEPTED}
        one.start()
        one.wait(State.VERIFIED, count=20)
        assert one.send(fake(3)).reception is Reception.DUPLICATE
        for number, receipt in enumerate(receipts):
            record = one.state.get(receipt.object_id)
            assert one.result(receipt.object_id) == cleaned(fake(number))
            assert [step.step for step in one.state.steps(receipt.object_id)] == ["admitted", "metadata", "witness"]
            assert record.trace
        assert one.release() == 20
        one.stop()
        assert sum(one.broker.lag(road.GROUPS["release"], ["objects.release"]).values()) == 20
