"""Brokers under test, openable from any process, and a child process that produces or consumes.

``python -m tests.support.brokers DESCRIPTION`` is the child; it says what it did in lines of JSON.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import queue
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.broker import ConsumerSettings, TopicSpec
from tarnhelm.gateway.broker.sqlite import SqliteBroker, SqliteBrokerSettings

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Place:
    """Where a broker is: enough to open it in another process."""

    kind: str
    where: str
    session_seconds: float = 2.0

    def open(self, *topics, **options):
        if self.kind == "sqlite":
            settings = SqliteBrokerSettings(**{"expire_every_seconds": 0.2, **options})
            return SqliteBroker(Path(self.where), topics, settings)
        from tarnhelm.gateway.broker.kafka import KafkaBroker, KafkaSettings

        plain = not self.where.startswith("127.0.0.1")
        return KafkaBroker(KafkaSettings((self.where,), plaintext_allowed=plain, **options), topics)

    @property
    def behaviour(self):
        return ConsumerSettings(session_seconds=self.session_seconds, heartbeat_seconds=0.3)


def gather(consumer, enough, seconds=60.0, *, commit=True, max_records=500, max_bytes=1 << 22):
    """Poll until ``enough(messages)`` or the time is over; marks all as done and commits unless told not to."""
    found = []
    deadline = time.monotonic() + seconds
    while not enough(found) and time.monotonic() < deadline:
        messages = consumer.poll(max_records=max_records, max_bytes=max_bytes, timeout_seconds=0.2)
        found += messages
        if commit:
            for message in messages:
                consumer.done(message)
            consumer.commit()
    return found


class Child:
    """A process that works at the broker."""

    def __init__(self, place, topic, **task):
        description = {"place": dataclasses.asdict(place), "topic": topic.name, "partitions": topic.partitions, **task}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.brokers", json.dumps(description)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        # Read as it comes: a child that waits for its reader would be put out of its group.
        self._said = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        with self.process.stdout as stdout:
            for text in stdout:
                self._said.put(json.loads(text))
        self._said.put(None)

    def line(self, seconds=30):
        """The next thing it says; None when it has ended."""
        return self._said.get(timeout=seconds)

    def said(self):
        """What it has said since, without waiting."""
        found = []
        with contextlib.suppress(queue.Empty):
            while (line := self._said.get_nowait()) is not None:
                found.append(line)
        return found

    def lines(self, seconds=60):
        """All that it says until it ends."""
        found = list(iter(lambda: self.line(seconds), None))
        assert self.process.wait(30) == 0
        return found

    def kill(self):
        self.process.kill()
        self.process.wait()
        self._reader.join(10)


def say(document):
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def produce(broker, task):
    """Publish numbered records; say each one's number when it is acknowledged, trying again while a broker is away."""
    waiting = []
    for number in range(task["count"]):
        key = b"%d" % (number % task.get("keys", 7))
        value = json.dumps([task["name"], number]).encode().ljust(task.get("size", 0))
        waiting.append((number, broker.publish(task["topic"], key, value)))
        if len(waiting) >= task.get("window", 500):
            settle(broker, task, waiting)
    settle(broker, task, waiting)


def settle(broker, task, waiting):
    for number, future in waiting:
        try:
            position = future.result(60)
        except TarnhelmError as error:
            say({"failed": number, "code": error.code})
        else:
            say({"acknowledged": number, "partition": position.partition.number, "offset": position.offset})
    waiting.clear()


def consume(broker, place, task):
    """Say every message, until it is killed; ``commit`` and ``hold`` (stop after the first ones) as told."""
    consumer = broker.consumer(task["group"], [task["topic"]], place.behaviour)
    while True:
        messages = consumer.poll(max_records=200, max_bytes=1 << 20, timeout_seconds=0.2)
        for message in messages:
            say({"offset": message.offset, "partition": message.partition.number, "value": message.value.decode()})
            consumer.done(message)
        if task.get("commit", True):
            consumer.commit()
        if messages and task.get("hold"):
            time.sleep(1e9)


def main():
    task = json.loads(sys.argv[1])
    place = Place(**task["place"])
    broker = place.open(TopicSpec(task["topic"], partitions=task["partitions"]))
    if task["role"] == "produce":
        produce(broker, task)
    else:
        consume(broker, place, task)
    broker.close()


if __name__ == "__main__":
    main()
