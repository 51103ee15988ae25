"""The beat of Kafka's producer: what waits, what does not, and who is woken."""

from __future__ import annotations

import pytest
from kafka.protocol.producer import ProduceRequest

from tarnhelm.gateway.broker.kafka.pacing import LINGER_MS, PacedClient


class Net:
    """The library's event loop: notes how long it was asked to wait, and lets that time pass, or less."""

    def __init__(self):
        self.now = 100.0
        self.polls = []
        self.futures = []
        self.woken = 0
        self.during = lambda: None
        self.most = float("inf")

    def poll(self, timeout_ms=None, future=None):
        self.polls.append(timeout_ms)
        self.futures.append(future)
        self.now += min(timeout_ms or 0, self.most) / 1000
        self.during()

    def wakeup(self):
        self.woken += 1


class Manager:
    def __init__(self):
        self.sent = []

    def send(self, request, node_id):
        self.sent.append((node_id, request))


class Case:
    def __init__(self):
        self.net = Net()
        self.manager = Manager()
        self.full = False
        self.client = PacedClient(
            net=self.net,
            manager=self.manager,
            beat_seconds=0.04,
            is_full=lambda: self.full,
            monotonic=lambda: self.net.now,
        )


@pytest.fixture
def case():
    return Case()


def test_after_a_request_with_records_answers_are_read_until_the_beat_is_over(case):
    case.net.most = 15  # answers come in between
    case.client.send(0, ProduceRequest())
    begun = case.net.now
    case.client.poll(0)
    assert case.net.now - begun == pytest.approx(0.04)
    assert case.net.polls == pytest.approx([40, 25, 10])
    assert len(case.manager.sent) == 1
    case.client.poll(500)
    assert case.net.polls[3:] == [500]


def test_other_requests_begin_no_rest(case):
    case.client.send(0, object())
    case.client.poll(0)
    assert case.net.polls == [0]


def test_nobody_wakes_a_thread_that_gets_up_by_itself(case):
    case.net.during = case.client.wakeup
    case.client.send(0, ProduceRequest())
    case.client.poll(0)
    assert case.net.woken == 0
    case.client.poll(60_000)  # nothing to do for long: the first record must wake it
    assert case.net.woken == 1
    case.client.wakeup()
    assert case.net.woken == 2


def test_the_first_record_after_a_pause_waits_for_company_undisturbed(case):
    case.net.during = case.client.wakeup
    case.client.poll(LINGER_MS)
    assert case.net.polls == pytest.approx([LINGER_MS])
    assert case.net.woken == 0
    case.client.poll(LINGER_MS + 1)  # that is another wait, such as the one before a repetition
    assert case.net.woken == 1


def test_a_full_batch_ends_the_rest_and_begins_none(case):
    case.net.most = 5

    def fill():
        case.full = True
        case.client.wakeup()

    case.net.during = fill
    case.client.send(0, ProduceRequest())
    case.client.poll(0)
    assert case.net.polls == pytest.approx([40])
    assert case.net.woken == 1
    case.client.send(0, ProduceRequest())
    case.client.poll(7)
    assert case.net.polls[1:] == [7]


def test_who_waits_for_one_answer_is_not_kept(case):
    case.client.send(0, ProduceRequest())
    answer = object()
    case.client.poll(10, future=answer)
    assert (case.net.polls, case.net.futures) == ([10], [answer])
