"""How fast the brokers are: messages per second, and how long one takes from ``publish`` to its reader.

``make bench-broker`` runs it: the embedded broker with its syncs on a real disk, and Apache Kafka where the tools are
there (or ``TARNHELM_TEST_KAFKA`` names one). Producer and consumer run in this one process, as in ``tarnhelm up``.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import shutil
import statistics
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

from tests.support.kafka import launcher, start_kafka, stop_kafka

from tarnhelm.gateway.broker import ConsumerSettings, TopicSpec
from tarnhelm.gateway.broker.kafka import KafkaBroker, KafkaSettings
from tarnhelm.gateway.broker.sqlite import SqliteBroker

SIZES = {"1 KB": 1_000, "512 KB": 512_000}
PACE_SECONDS = 0.01


def throughput(broker, topic, count, size):
    """Messages per second in, acknowledged; and out, done and committed."""
    value = os.urandom(size)
    begin = time.perf_counter()
    futures = []
    for number in range(count):
        futures.append(broker.publish(topic, b"%d" % number, value))
        if len(futures) * size > 32 << 20:
            futures.pop(0).result(60)
    for future in futures:
        future.result(60)
    produced = time.perf_counter() - begin
    consumer = broker.consumer(uuid.uuid4().hex, [topic], ConsumerSettings(max_bytes_in_flight=256 << 20))
    while not consumer.assignment():
        consumer.poll(max_records=1, max_bytes=1, timeout_seconds=0.1)
    consumer.rewind(consumer.assignment())
    begin = time.perf_counter()
    left = count
    while left:
        messages = consumer.poll(max_records=500, max_bytes=8 << 20, timeout_seconds=1)
        for message in messages:
            consumer.done(message)
        consumer.commit()
        left -= len(messages)
    consumed = time.perf_counter() - begin
    consumer.close()
    return count / produced, count / consumed


def latency(broker, topic, count, size):
    """Milliseconds until one message is acknowledged, and until its reader has it: (median, p99) each."""
    consumer = broker.consumer(uuid.uuid4().hex, [topic])
    value = os.urandom(size)
    sent, read = {}, {}
    reading = threading.Event()

    def read_all():
        while len(read) < count:
            for message in consumer.poll(max_records=500, max_bytes=8 << 20, timeout_seconds=0.5):
                read[message.key] = time.perf_counter()
                consumer.done(message)
            if consumer.assignment():
                reading.set()
        consumer.commit()

    reader = threading.Thread(target=read_all)
    reader.start()
    reading.wait(60)
    acknowledged = []
    for number in range(count):
        key = b"%d" % number
        sent[key] = begin = time.perf_counter()
        broker.publish(topic, key, value).result(60)
        acknowledged.append(time.perf_counter() - begin)
        time.sleep(PACE_SECONDS)
    reader.join(60)
    consumer.close()
    return quantiles(acknowledged), quantiles([read[key] - sent[key] for key in sent])


def quantiles(seconds):
    return statistics.median(seconds) * 1000, statistics.quantiles(seconds, n=100)[98] * 1000


def rows(name, make):
    """Measure one broker."""
    for label, size in SIZES.items():
        count = 20_000 if size < 10_000 else 200
        topics = [TopicSpec(f"bench-{uuid.uuid4().hex[:8]}", partitions=4) for _ in range(2)]
        broker = make(topics)
        broker.ensure()
        into, out = throughput(broker, topics[0].name, count, size)
        gc.collect()
        acknowledged, read = latency(broker, topics[1].name, 500 if size < 10_000 else 100, size)
        broker.close()
        times = " | ".join(f"{half:.1f} | {most:.1f}" for half, most in (acknowledged, read))
        sys.stdout.write(f"| {name} | {label} | {into:,.0f} | {out:,.0f} | {times} |\n")
        sys.stdout.flush()


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build"), help="on the disk to be measured")
    given = parser.parse_args()
    sys.stdout.write(f"{platform.system()}, {os.cpu_count()} CPUs, one process; 4 partitions\n\n")
    sys.stdout.write("| broker | size | in, msg/s | out, msg/s | acknowledged p50 ms | p99 | read p50 ms | p99 |\n")
    sys.stdout.write("|---|---|---:|---:|---:|---:|---:|---:|\n")
    given.folder.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-broker-", dir=given.folder))
    try:
        rows("embedded", lambda topics: SqliteBroker(folder / "broker", topics))
    finally:
        shutil.rmtree(folder)
    address = os.environ.get("TARNHELM_TEST_KAFKA")
    if not address and launcher() is None:
        sys.stdout.write("\nno Apache Kafka: set TARNHELM_TOOLS or TARNHELM_TEST_KAFKA\n")
        return 0
    server = None
    try:
        if not address:
            server = start_kafka()
            address = server.address
            sys.stdout.flush()
        settings = KafkaSettings((address,), plaintext_allowed=True)
        rows("Apache Kafka", lambda topics: KafkaBroker(settings, topics))
    finally:
        if server is not None:
            stop_kafka(server)
    return 0


if __name__ == "__main__":
    sys.exit(main())
