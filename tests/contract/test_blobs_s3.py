"""What the S3 store promises beyond the contract: redirects, servers that do not keep their word, and whose keys."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import os
import threading

import pytest
from tests.support.blobs import fresh_name

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.blobs import KeyRing, put
from tarnhelm.gateway.blobs.keyring import add_key
from tarnhelm.gateway.blobs.s3 import S3Blobs
from tarnhelm.gateway.blobs.s3_client import S3Place, connect


@pytest.fixture
def ring(tmp_path):
    add_key(tmp_path / "ring")
    return KeyRing(tmp_path / "ring")


def code_of(call, *arguments):
    with pytest.raises(TarnhelmError) as caught:
        call(*arguments)
    return caught.value.kind


@pytest.fixture
def answering(tmp_path):
    """HTTP servers on loopback that answer every request alike; each gives the list of what it was asked."""
    running = []
    for kind in ("access", "secret"):
        (tmp_path / kind).write_text("key")
        (tmp_path / kind).chmod(0o600)

    def start(status, body=b"", **headers):
        asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                asked.append((self.command, self.path))
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(b"" if self.command == "HEAD" else body)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return f"http://127.0.0.1:{server.server_port}", asked

    def place(endpoint):
        return S3Place(endpoint, "blobs", tmp_path / "access", tmp_path / "secret")

    yield start, place
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(answering, ring, status):
    start, place = answering
    elsewhere, asked = start(200)
    region = b"<Error><Code>PermanentRedirect</Code><Endpoint>127.0.0.1</Endpoint></Error>"
    endpoint, _ = start(status, region, Location=f"{elsewhere}/blobs/x", x_amz_bucket_region="eu-west-1")
    store = S3Blobs(place(endpoint), ring)
    assert code_of(put, store, fresh_name(), [b"x"]) is errors.BLOB_STORE_AWAY
    assert code_of(store.open, fresh_name()) is errors.BLOB_STORE_AWAY
    assert not asked


def test_a_server_that_replaces_what_is_there_is_refused(answering, ring):
    start, place = answering
    endpoint, asked = start(200, b"<x/>", ETag='"e"')
    assert code_of(S3Blobs(place(endpoint), ring).check) is errors.BLOB_UNCONDITIONAL
    assert [command for command, _ in asked][-1] == "DELETE", "the probe is removed"


def test_a_bucket_that_keeps_versions_is_refused(s3_server, ring):
    place = s3_server.place()
    store = S3Blobs(place, ring)
    store.check()
    store._client.meta.events.register(
        "after-call.s3.GetBucketVersioning", lambda parsed, **_: parsed.update(Status="Enabled")
    )
    assert code_of(store.check) is errors.BLOB_VERSIONED


def test_a_check_leaves_nothing_and_a_missing_bucket_is_said_to_be(s3_server, ring):
    place = s3_server.place()
    S3Blobs(place, ring).check()
    assert "Contents" not in connect(place).list_objects_v2(Bucket=place.bucket)
    assert (
        code_of(S3Blobs(dataclasses.replace(place, bucket="no-such-bucket"), ring).check) is errors.BLOB_STORE_UNUSABLE
    )


def test_a_server_that_is_away_or_full_is_a_reason_to_wait(answering, ring):
    start, place = answering
    full, _ = start(507, b"<Error><Code>QuotaExceeded</Code></Error>")
    assert code_of(put, S3Blobs(place(full), ring), fresh_name(), [b"x"]) is errors.BLOB_NO_SPACE
    nobody = S3Blobs(place("http://127.0.0.1:1"), ring)
    assert code_of(put, nobody, fresh_name(), [b"x"]) is errors.BLOB_STORE_AWAY
    assert code_of(lambda: list(nobody.listing("raw"))) is errors.BLOB_STORE_AWAY
    assert code_of(nobody.sweep, 0) is errors.BLOB_STORE_AWAY


def test_keys_come_out_of_private_files_and_nothing_out_of_the_environment(answering, ring, monkeypatch, tmp_path):
    start, place = answering
    elsewhere, asked = start(200)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", elsewhere)
    monkeypatch.setenv("AWS_ENDPOINT_URL", elsewhere)
    monkeypatch.setenv("HTTP_PROXY", elsewhere)
    monkeypatch.setenv("http_proxy", elsewhere)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    endpoint, reached = start(404, b"<Error><Code>NoSuchKey</Code></Error>")
    client = connect(place(endpoint))
    assert client._request_signer._credentials.access_key == "key"
    assert S3Blobs(place(endpoint), ring).stat(fresh_name()) is None
    assert reached
    assert not asked
    (tmp_path / "secret").chmod(0o644)
    assert code_of(connect, place(endpoint)) is errors.BLOB_STORE_UNUSABLE


@pytest.mark.parametrize(
    "endpoint", ["", "127.0.0.1:9000", "file:///etc", "http://", "http://u:p@127.0.0.1", "http://h/x"]
)
def test_an_endpoint_is_a_host_and_no_more(answering, endpoint):
    _, place = answering
    assert code_of(connect, place(endpoint)) is errors.BLOB_STORE_UNUSABLE


def test_a_second_put_that_met_the_first_is_answered_with_it(s3_server, ring):
    """The library sends a put again when its answer is lost; the server then refuses it, though it was stored."""
    store, name = S3Blobs(s3_server.place(), ring), fresh_name()
    lost = []

    def lose(**_):
        if lost:
            return None
        lost.append(1)
        return 0  # seconds until the library tries again

    store._client.meta.events.register("needs-retry.s3.PutObject", lose)
    data = os.urandom(1000)
    done = put(store, name, [data])
    assert lost
    assert not done.created
    assert done.info.sha256 == hashlib.sha256(data).hexdigest()
