"""Between any two parts of a gateway connections are cut, slowed and half-open, in the middle of the work.

The real gateway with all of its processes, each link of it through Toxiproxy. After any fault every object is released
with the bytes of a faultless run, and none is quarantined because of the network. The long form, ``make fault-test``,
goes through every link and every fault; the short ones meet each link once.
"""

from __future__ import annotations

import json
import sys
import time

import pytest
from tests.support.faults import FAR, NEAR, Plant, await_true
from tests.support.kafka import NO_PROCESS, launcher
from tests.support.s3 import _running as running_s3

pytestmark = [
    pytest.mark.timeout(900),
    # pynetdicom, with which the test sends, leaves a socket that was reset to the collector.
    pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning"),
]

FAULTS = ("cut", "slow", "hush")
BREAKERS = {
    "assign": 'tarnhelm_gateway_breaker_open{stage="metadata"}',
    "metadata": 'tarnhelm_gateway_breaker_open{stage="metadata"}',
    "witness": 'tarnhelm_gateway_breaker_open{stage="witness"}',
    "archive": 'tarnhelm_gateway_destination_paused{destination="archive"}',
}
"""What tells an operator that the other end of a link is away."""
SHOWN = {"assign": "metadata", "metadata": "metadata", "witness": "witness"}
"""Which stage the board shows as open then, and so the page and `tarnhelm watch`."""


@pytest.fixture
def plant(tmp_path, toxiproxy):
    """On the embedded broker, folders and SQLite."""
    made = Plant(tmp_path, toxiproxy)
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, toxiproxy, own_postgres):
    """On Apache Kafka, S3 and PostgreSQL."""
    if launcher() is None:
        pytest.skip(NO_PROCESS)
    for s3 in running_s3(tmp_path_factory.mktemp("s3"), named=False):
        made = Plant(tmp_path_factory.mktemp("plant"), toxiproxy, (s3, own_postgres))
        try:
            yield made.start()
        finally:
            made.close()


def one_after_the_other(plant, faults, *, objects, pause, seconds):
    """Bring each fault about for a while, and mend it, while objects come in."""
    paths, made = plant.objects(objects)
    sending = plant.sending(paths, pause=pause)
    for bring_about, mend in faults:
        bring_about()
        time.sleep(seconds)
        mend()
        time.sleep(0.2)
    healed = time.monotonic()
    sending.join()
    plant.check(made)
    return time.monotonic() - healed


def on_links(plant, faults):
    return [(getattr(plant.links[link], fault), plant.links[link].heal) for link, fault in faults]


def say(**figures):
    sys.stderr.write(json.dumps(figures) + "\n")


def test_each_link_of_one_machine_fails_once(plant):
    faults = on_links(plant, zip(NEAR, ("cut", "hush", "slow", "cut", "hush", "cut"), strict=True))
    recovered = one_after_the_other(plant, faults, objects=24, pause=0.8, seconds=0.8)
    say(links=len(faults), recovered_seconds=round(recovered, 1), suspects=plant.suspects())


def test_each_link_to_a_server_fails_once_and_each_server_is_gone_once(cluster):
    faults = on_links(cluster, zip(FAR, ("cut", "hush", "cut"), strict=True))
    faults += cluster.outages().values()
    recovered = one_after_the_other(cluster, faults, objects=24, pause=1.0, seconds=1.5)
    say(faults=len(faults), recovered_seconds=round(recovered, 1), suspects=cluster.suspects())


@pytest.mark.slow
@pytest.mark.parametrize("server", FAR)
def test_a_server_is_gone_for_a_minute(cluster, server):
    stop, start = cluster.outages()[server]
    paths, made = cluster.objects(8)
    sending = cluster.sending(paths, pause=0.3)
    await_true(lambda: sending.senders.accepted, 60)
    stop()
    time.sleep(60.0)
    start()
    back = time.monotonic()
    sending.join()
    cluster.check(made)
    say(gone=server, recovered_seconds=round(time.monotonic() - back, 1))


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("link", [*NEAR, *FAR])
def test_a_link_fails_in_the_middle_of_the_work(cluster, link, fault):
    paths, made = cluster.objects(16)
    suspects = cluster.suspects()
    sending = cluster.sending(paths[:8], pause=0.1)
    getattr(cluster.links[link], fault)()
    try:
        more = cluster.sending(paths[8:], pause=0.4)
        if fault == "cut" and link in BREAKERS:
            cluster.await_metric(BREAKERS[link], 1.0)
            if link in SHOWN:
                await_true(lambda: "open" in cluster.conditions("stage", SHOWN[link]), 30)
        time.sleep(5.0)
    finally:
        cluster.links[link].heal()
    healed = time.monotonic()
    sending.join()
    more.join()
    cluster.check(made)
    if link in BREAKERS:
        cluster.await_metric(BREAKERS[link], 0.0)
    say(
        link=link,
        fault=fault,
        recovered_seconds=round(time.monotonic() - healed, 1),
        suspects=cluster.suspects() - suspects,
    )


@pytest.mark.slow
@pytest.mark.parametrize("link", ["metadata", "witness"])
def test_a_service_that_vanished_without_a_word_is_noticed_before_the_deadline_of_a_call(cluster, link):
    """No reset comes, as after a power cut: only keepalive tells, long before the minute and more that a call may take."""
    paths, made = cluster.objects(8)
    cluster.sending(paths[:4]).join()
    suspects = cluster.suspects()
    cluster.links[link].hush()
    try:
        silent = time.monotonic()
        cluster.sending(paths[4:]).join()
        # Calls that the service had taken on count as an attempt; those that it had not open the breaker.
        await_true(
            lambda: cluster.metric(BREAKERS[link]) == 1.0 or cluster.suspects() > suspects, 45, cluster.gateway.said
        )
        noticed = time.monotonic() - silent
    finally:
        cluster.links[link].heal()
    cluster.check(made)
    say(link=link, noticed_after_seconds=round(noticed, 1))
