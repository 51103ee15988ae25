"""A vault or a database that is away in the middle: objects wait, nothing is lost, then it goes on."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from tests.support.assign_server import Gateway, LocalPlace, ServerPlace, counts_of
from tests.support.canaries import canary_requests
from tests.support.vault_sessions import until

from tarnhelm.common.errors import TarnhelmError

AWAY = {"LNK-007", "LNK-008", "LNK-030", "LNK-045"}


def answer_or_code(call, *arguments):
    try:
        return call(*arguments)
    except TarnhelmError as error:
        return error.code


class Stream:
    """Objects that come without end, each tried until it is answered, as the gateway does with RETRY."""

    def __init__(self, place, server, gateway, count=400):
        self.place, self.gateway = place, gateway
        self.project = place.create("lung")
        self.channel = server.channel(timeout_seconds=40)
        self.requests = canary_requests(count)[:count]
        self.answers, self.waited = {}, []
        self.pool = ThreadPoolExecutor(8)
        self.running = [self.pool.submit(self._one, number) for number in range(count)]

    def _one(self, number):
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            # Each delivery carries a fresh ticket.
            answer = answer_or_code(self.channel.ask, self.gateway.ticket(self.project.id), self.requests[number])
            if not isinstance(answer, str):
                self.answers[number] = answer
                return
            assert answer in AWAY, answer
            self.waited.append(answer)
            time.sleep(0.05)

    def reach(self, count):
        until(lambda: len(self.answers) >= count, f"{len(self.answers)} of {count} objects were answered")

    def finish(self):
        for one in self.running:
            one.result(120)
        self.pool.shutdown()
        assert len(self.answers) == len(self.requests)
        local = self.place.assigner(self.project)
        assert [self.answers[number] for number in range(len(self.requests))] == [
            local.assign(request) for request in self.requests
        ]
        local.close()
        # Everybody has his records, once.
        assert counts_of(self.place, self.project) == (len(self.requests),) * 2 + (2 * len(self.requests),)


@pytest.fixture
def own_place(tmp_path, own_bao, postgres):
    place = ServerPlace(tmp_path, own_bao, postgres.database())
    yield place
    place.close()


def quiet(place, project):
    """Nothing is written: twice the same count, half a second apart."""
    before = counts_of(place, project)
    time.sleep(0.5)
    return counts_of(place, project) == before


@pytest.mark.parametrize("how", ["sealed", "killed"])
def test_a_vault_that_goes_in_the_middle_of_a_run(own_place, own_bao, launch, gateway, how):
    server = launch(own_place)
    stream = Stream(own_place, server, gateway)
    stream.reach(60)
    own_bao.seal() if how == "sealed" else own_bao.stop()
    until(lambda: server.health() == "NOT_SERVING", "health does not turn")
    assert server.health("") == "NOT_SERVING"
    until(lambda: quiet(own_place, stream.project), "something is written while the vault is away")
    done = len(stream.answers)
    assert done < len(stream.requests)
    # Nothing is answered out of memory either: what was known is refused like what is new.
    known = stream.requests[next(iter(stream.answers))]
    assert answer_or_code(server.ask, gateway.ticket(stream.project.id), known) == "LNK-007"
    if how == "killed":
        own_bao.start()
    own_bao.unseal()
    until(lambda: server.health() == "SERVING", "health does not turn back")
    stream.finish()
    assert set(stream.waited) <= AWAY
    assert len(server.events("assign-dependency-away")) >= 1
    assert len(server.events("assign-dependency-back")) >= 1


def test_an_identity_that_the_vault_no_longer_takes(own_place, own_bao, launch, gateway):
    server = launch(own_place)
    stream = Stream(own_place, server, gateway, 200)
    stream.reach(40)
    role = "auth/approle/role/tarnhelm-assign"
    own_bao.admin(
        "PUT",
        "sys/policies/acl/tarnhelm-assign",
        {"policy": 'path "auth/token/lookup-self" { capabilities = ["read"] }'},
    )
    accessors = own_bao.admin("LIST", f"{role}/secret-id")["data"]["keys"]
    for accessor in accessors:
        own_bao.admin("POST", f"{role}/secret-id-accessor/destroy", {"secret_id_accessor": accessor})
    for accessor in own_bao.admin("LIST", "auth/token/accessors")["data"]["keys"]:
        found = own_bao.admin("POST", "auth/token/lookup-accessor", {"accessor": accessor})["data"]
        if "tarnhelm-assign" in found["policies"]:
            own_bao.admin("POST", "auth/token/revoke-accessor", {"accessor": accessor})
    until(lambda: server.health() == "NOT_SERVING", "health does not turn")
    assert answer_or_code(server.ask, gateway.ticket(stream.project.id), stream.requests[0]) == "LNK-030"
    own_bao.configure()
    own_place.secret_id_file.write_text(own_bao.admin("POST", f"{role}/secret-id")["data"]["secret_id"])
    until(lambda: server.health() == "SERVING", "health does not turn back")
    stream.finish()


@pytest.fixture
def unplugged(postgres):
    """Takes a database away: no connection is let in, and those that are there are ended."""

    def unplug(address, away):
        name = psycopg.conninfo.conninfo_to_dict(address)["dbname"]
        with psycopg.connect(postgres.address, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {'false' if away else 'true'}")
            if away:
                connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))

    return unplug


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_database_that_goes_in_the_middle_of_a_run(own_place, launch, gateway, unplugged):
    server = launch(own_place)
    stream = Stream(own_place, server, gateway, 200)
    stream.reach(40)
    unplugged(own_place.address, away=True)
    deadline = time.monotonic() + 60
    while server.health() != "NOT_SERVING":
        assert time.monotonic() < deadline, "health does not turn"
        time.sleep(0.2)
    assert answer_or_code(server.ask, gateway.ticket(stream.project.id), stream.requests[0]) in {"LNK-008", "LNK-045"}
    unplugged(own_place.address, away=False)
    deadline = time.monotonic() + 60
    while server.health() != "SERVING":
        assert time.monotonic() < deadline, "health does not turn back"
        time.sleep(0.2)
    stream.finish()


def test_a_vault_that_is_sealed_at_the_start_is_waited_for(own_place, own_bao, launch, gateway):
    project = own_place.create("lung")
    own_bao.seal()
    server = launch(own_place)
    assert server.health() == "NOT_SERVING"
    request = canary_requests(1)[0]
    assert answer_or_code(server.ask, gateway.ticket(project.id), request) == "LNK-007"
    own_bao.unseal()
    until(lambda: server.health() == "SERVING", "health does not turn")
    assert server.ask(gateway.ticket(project.id), request).subject_id


def test_a_server_that_is_killed_loses_nothing_that_it_told(tmp_path, launch):
    place, gateway = LocalPlace(tmp_path), Gateway(tmp_path)
    server = launch(place)
    project = place.create("lung")
    requests = canary_requests(300)
    tickets = [gateway.ticket(project.id) for _ in requests]
    channel = server.channel()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(answer_or_code, channel.ask, *pair) for pair in zip(tickets, requests, strict=True)]
        until(lambda: sum(one.done() for one in asked) > 50, "no answers")
        server.process.send_signal(signal.SIGKILL)
        answers = [one.result() for one in asked]
    told = [at for at, answer in enumerate(answers) if not isinstance(answer, str)]
    assert 0 < len(told) < len(requests)
    assert counts_of(place, project)[0] >= len(told)
    again = launch(place)
    assert [again.ask(tickets[at], requests[at]) for at in told] == [answers[at] for at in told]
