"""The parts of the broker seam that need no broker: settings, trace context, positions, what may be logged."""

from __future__ import annotations

import logging
import os
import ssl
from pathlib import Path

import kafka.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.certificates import Authority

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.broker import TOPICS, Message, Partition
from tarnhelm.gateway.broker.kafka import KafkaBroker, KafkaSettings, Sasl
from tarnhelm.gateway.broker.kafka.faults import fault_of
from tarnhelm.gateway.broker.progress import Progress
from tarnhelm.gateway.broker.topics import by_name, with_partitions
from tarnhelm.gateway.broker.trace import TraceContext, new_trace, trace_headers, trace_of

ONE = Partition("t", 0)
PLANTED = "correct horse"


def message(offset, size=1):
    return Message(ONE, offset, b"", bytes(size), (), 0.0)


# --- positions -----------------------------------------------------------------------------------------------------


@given(st.permutations(range(8)), st.integers(0, 8))
def test_a_position_is_the_first_offset_that_is_not_done(order, finished):
    progress = Progress()
    progress.begin(ONE, 0)
    for offset in range(8):
        assert progress.hand_out(message(offset, 10))
    for offset in order[:finished]:
        progress.done(message(offset))
    expected = min(order[finished:], default=8)
    assert progress.committable() == ({ONE: expected} if expected else {})
    assert progress.bytes == 10 * (8 - finished)


def test_offsets_that_are_gone_are_counted_but_not_for_a_group_without_a_position():
    progress = Progress()
    progress.begin(ONE, 3)
    assert progress.hand_out(message(5))
    assert progress.expired == 2
    assert not progress.hand_out(message(4))
    fresh = Progress()
    fresh.begin(ONE, -1)
    assert fresh.committable() == {}
    fresh.hand_out(message(7))
    assert fresh.expired == 0
    assert fresh.committable() == {ONE: 7}


def test_what_is_lost_takes_its_bytes_with_it():
    progress = Progress()
    progress.begin(ONE, 0)
    progress.hand_out(message(0, 100))
    progress.drop([ONE])
    progress.done(message(0, 100))
    assert (progress.bytes, progress.committable(), progress.partitions()) == (0, {}, frozenset())


# --- trace context -------------------------------------------------------------------------------------------------


def test_a_trace_goes_round_and_has_children():
    context = new_trace(os.urandom)
    child = context.child(os.urandom)
    assert trace_of(trace_headers(context)) == context
    assert child.trace_id == context.trace_id
    assert child.span_id != context.span_id
    zeros = iter([bytes(16), b"\1" * 16, b"\2" * 8])
    assert new_trace(lambda _: next(zeros)).trace_id == "01" * 16


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"00-" + b"0" * 32 + b"-" + b"1" * 16 + b"-01",  # no trace
        b"00-" + b"1" * 32 + b"-" + b"0" * 16 + b"-01",  # no span
        b"ff-" + b"1" * 32 + b"-" + b"1" * 16 + b"-01",  # a version that cannot be
        b"00-" + b"A" * 32 + b"-" + b"1" * 16 + b"-01",  # upper case
        b"00-" + b"1" * 32 + b"-" + b"1" * 16 + b"-01-more",  # more than version 00 has
        b"00-" + b"1" * 32 + b"-" + b"1" * 16 + b"-01\xff",
    ],
)
def test_a_malformed_trace_is_none(text):
    assert trace_of([("traceparent", text)]) is None


def test_a_later_version_is_read_and_a_bad_state_costs_nothing():
    parent = b"01-" + b"1" * 32 + b"-" + b"2" * 16 + b"-00-more"
    assert trace_of([("TraceParent", parent), ("tracestate", b"x" * 600)]) == TraceContext(
        "1" * 32, "2" * 16, sampled=False
    )
    assert trace_of([("traceparent", parent), ("traceparent", parent)]) is None
    assert trace_of([]) is None


# --- topics --------------------------------------------------------------------------------------------------------


def test_identified_topics_are_those_that_carry_raw_objects():
    assert {spec.name for spec in TOPICS if spec.identified} == {"ingest", "dead-letter"}
    assert all(spec.retention_seconds <= 24 * 3600 for spec in TOPICS if spec.identified)
    assert {spec.partitions for spec in with_partitions(TOPICS, 12)} == {12, 1}
    with pytest.raises(TarnhelmError):
        by_name([*TOPICS, TOPICS[0]])


# --- Kafka's settings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"addresses": ()},
        {"addresses": ("kafka",)},
        {"addresses": ("kafka.example:9092",)},  # off this machine in the clear
        {"addresses": ("127.0.0.1:9092", "10.0.0.1:9092")},
        {"addresses": ("127.0.0.1:70000",)},
        {"ca_file": Path("ca.pem")},  # an authority without TLS
        {"tls": True, "certificate_file": Path("c.pem")},
        {"sasl": Sasl("me", Path("pw"), "PLAIN")},  # the password in the clear
        {"sasl": Sasl("me", Path("pw"), "MD5"), "tls": True},
        {"sasl": Sasl("", Path("pw")), "tls": True},
        {"min_in_sync": 2, "replication": 1},
        {"request_seconds": 130.0},
    ],
)
def test_settings_of_kafka_that_cannot_work_are_refused(wrong):
    with pytest.raises(TarnhelmError) as refused:
        KafkaSettings(**{"addresses": ("127.0.0.1:9092",), **wrong})
    assert refused.value.code == "BRK-006"


def test_tls_and_sasl_reach_the_client_and_the_password_comes_from_its_file(tmp_path):
    authority = Authority(tmp_path / "tls")
    pair = authority.issue("gateway", "localhost")
    password = tmp_path / "pw"
    password.touch(mode=0o600)
    password.write_text(PLANTED + "\n")
    settings = KafkaSettings(
        ("kafka.example:9093",),
        tls=True,
        ca_file=authority.ca_file,
        certificate_file=pair.certificate,
        key_file=pair.key,
        sasl=Sasl("gateway", password),
    )
    configs = settings.client_configs()
    assert configs["security_protocol"] == "SASL_SSL"
    assert (configs["sasl_mechanism"], configs["sasl_plain_password"]) == ("SCRAM-SHA-512", PLANTED)
    context = configs["ssl_context"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert PLANTED not in repr(settings)
    for path in (password, pair.key):
        path.chmod(0o604)
        with pytest.raises(TarnhelmError):
            settings.client_configs()
        path.chmod(0o600)
    password.write_text("\n")
    with pytest.raises(TarnhelmError):
        settings.client_configs()
    password.unlink()
    with pytest.raises(TarnhelmError):
        settings.client_configs()


def test_the_clients_log_shows_no_keys_values_and_passwords(caplog):
    logging.getLogger("kafka").setLevel(logging.NOTSET)
    with caplog.at_level(logging.DEBUG):
        KafkaBroker(KafkaSettings(("127.0.0.1:1",)), TOPICS)
        logging.getLogger("kafka.producer.kafka").debug("Sending (key=%r)", PLANTED)
        logging.getLogger("kafka.admin.client").info("configuration: %s", PLANTED)
    assert PLANTED not in caplog.text


@pytest.mark.parametrize(
    ("error", "code", "disposition"),
    [
        (kafka.errors.KafkaConnectionError(PLANTED), "BRK-001", "retry"),
        (kafka.errors.KafkaTimeoutError(PLANTED), "BRK-001", "retry"),
        (kafka.errors.NotEnoughReplicasError(PLANTED), "BRK-001", "retry"),
        (ConnectionResetError(PLANTED), "BRK-001", "retry"),
        (kafka.errors.TopicAuthorizationFailedError(PLANTED), "BRK-004", "retry"),
        (kafka.errors.SaslAuthenticationFailedError(PLANTED), "BRK-004", "retry"),
        (ssl.SSLCertVerificationError(PLANTED), "BRK-004", "retry"),
        (kafka.errors.UnknownTopicOrPartitionError(PLANTED), "BRK-005", "retry"),
        (kafka.errors.InvalidSessionTimeoutError(PLANTED), "BRK-006", "usage"),
        (kafka.errors.UnknownError(PLANTED), "BRK-007", "retry"),
        (kafka.errors.MessageSizeTooLargeError(PLANTED), "BRK-013", "retry"),
    ],
)
def test_kafkas_errors_become_the_catalogues_without_their_texts(error, code, disposition):
    found = fault_of(error)
    assert (found.code, found.disposition.value) == (code, disposition)
    assert PLANTED not in str(found)
