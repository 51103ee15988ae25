"""STOW-RS over a small server: the bytes as they are, and each answer to its end."""

from __future__ import annotations

import contextlib
import hashlib
import json
import ssl
import threading
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.support.certificates import Authority
from tests.support.releasing import World, all_released, dicom_bytes, route, until

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.stage import ObjectFacts
from tarnhelm.gateway.destinations import Notice, Parcel, StowDestinationSettings, TlsFiles
from tarnhelm.gateway.destinations.stow import StowDestination


class Peer:
    """A STOW-RS server; ``answer`` is (status, headers, body), or is called for one."""

    def __init__(self, context=None):
        self.got = []
        self.headers = []
        self.connections = set()
        self.answer = stored()
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                peer.headers.append(dict(self.headers))
                peer.connections.add(self.client_address)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if len(body) != int(self.headers["Content-Length"]):
                    self.close_connection = True
                    return
                head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
                message = message_from_bytes(head + body, policy=policy.HTTP)
                (part,) = message.get_payload()
                assert part.get_content_type() == "application/dicom"
                peer.got.append(part.get_payload(decode=True))
                status, headers, content = peer.answer() if callable(peer.answer) else peer.answer
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_arguments):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join(30)
        self.server.server_close()


def stored():
    return (
        200,
        {},
        json.dumps({"00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["2.25.1"]}}]}}).encode(),
    )


def failed(status, reason):
    item = {"00081197": {"vr": "US", "Value": [reason]}}
    return status, {}, json.dumps({"00081198": {"vr": "SQ", "Value": [item]}}).encode()


@pytest.fixture
def peer():
    made = Peer()
    yield made
    made.close()


@pytest.fixture
def destinations(tmp_path):
    with contextlib.ExitStack() as stack:

        def make(url, **changes):
            settings = StowDestinationSettings(
                url, tmp_path / "notices", **{"response_timeout_seconds": 5.0, **changes}
            )
            made = StowDestination("web", settings)
            stack.callback(made.close)
            return made

        yield make


def url(peer, scheme="http"):
    return f"{scheme}://127.0.0.1:{peer.port}/dicom-web/studies"


def parcel(content, attempt=1):
    sha256 = hashlib.sha256(content).hexdigest()
    pieces = [content[at : at + 50_000] for at in range(0, len(content), 50_000)]
    return Parcel("a" * 32, "p", ObjectFacts(), len(content), sha256, "x", lambda: iter(pieces), attempt=attempt)


def code_of(destination, content=None, attempt=1):
    try:
        destination.deliver(parcel(dicom_bytes(1) if content is None else content, attempt))
    except TarnhelmError as error:
        return error.code
    return ""


def test_the_server_gets_the_bytes_as_they_are_over_one_connection(peer, destinations):
    destination = destinations(url(peer))
    contents = [dicom_bytes(1), dicom_bytes(2, pixels=1 << 19)]
    for content in contents:
        destination.deliver(parcel(content))
    assert peer.got == contents
    assert len(peer.connections) == 1
    assert peer.headers[0]["Accept"] == "application/dicom+json"
    assert "Authorization" not in peer.headers[0]
    assert "Transfer-Encoding" not in peer.headers[0]


@pytest.mark.parametrize(
    ("answer", "attempt", "code"),
    [
        ((200, {}, b""), 1, ""),
        ((200, {}, b"<NativeDicomModel/>"), 1, ""),
        ((202, {}, stored()[2]), 1, ""),
        ((202, {}, b""), 1, "DLV-004"),
        (failed(202, 0xA700), 1, "DLV-002"),
        (failed(409, 0xA900), 1, "DLV-011"),
        (failed(409, 0xC000), 1, "DLV-011"),
        (failed(409, 0x0110), 1, "DLV-004"),
        (failed(409, 0x0111), 1, "DLV-013"),
        (failed(409, 0x0111), 2, ""),
        (failed(409, 0x0122), 1, "DLV-010"),
        (failed(200, 0x0124), 1, "DLV-003"),
        ((409, {}, b"no"), 1, "DLV-011"),
        ((409, {}, b'{"00081198":{"Value":[{}]}}'), 1, "DLV-011"),
        ((204, {}, b""), 1, "DLV-005"),
        ((301, {"Location": "http://127.0.0.1:1/x"}, b""), 1, "DLV-005"),
        ((307, {"Location": "http://127.0.0.1:1/x"}, b""), 1, "DLV-005"),
        ((400, {}, b""), 1, "DLV-011"),
        ((401, {}, b""), 1, "DLV-003"),
        ((403, {}, b""), 1, "DLV-003"),
        ((404, {}, b""), 1, "DLV-005"),
        ((413, {}, b""), 1, "DLV-014"),
        ((415, {}, b""), 1, "DLV-010"),
        ((429, {}, b""), 1, "DLV-002"),
        ((500, {}, b"Traceback Doe^John"), 1, "DLV-004"),
        ((503, {"Retry-After": "9"}, b""), 1, "DLV-002"),
        ((0, {}, b""), 1, "DLV-001"),
    ],
)
def test_each_answer_has_its_meaning(peer, destinations, answer, attempt, code):
    peer.answer = answer
    assert code_of(destinations(url(peer)), attempt=attempt) == code


def test_a_huge_answer_is_not_kept(peer, destinations):
    peer.answer = (202, {}, b"x" * (3 << 20))
    assert code_of(destinations(url(peer))) == "DLV-004"


def test_a_server_that_says_nothing_is_given_up(peer, destinations):
    release = threading.Event()
    peer.answer = lambda: release.wait(30) and stored()
    assert code_of(destinations(url(peer), response_timeout_seconds=0.5)) == "DLV-001"
    release.set()


def test_nobody_at_the_address(destinations):
    assert code_of(destinations("http://127.0.0.1:1/studies")) == "DLV-001"


def test_the_token_is_read_anew_for_each_request(peer, destinations, tmp_path):
    token = tmp_path / "token"
    destination = destinations(url(peer), bearer_token_file=token)
    assert code_of(destination) == "DLV-021"
    for text in ("first", "second"):
        token.write_text(f"{text}\n")
        assert code_of(destination) == ""
    assert [headers["Authorization"] for headers in peer.headers] == ["Bearer first", "Bearer second"]
    token.write_text("two\r\nX-Header: words")
    assert code_of(destination) == "DLV-021"


def test_a_proxy_in_the_environment_is_not_asked(peer, destinations, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert code_of(destinations(url(peer))) == ""


def test_tls_is_mutual_and_checks_the_server(destinations, tmp_path):
    authority, other = Authority(tmp_path / "tls"), Authority(tmp_path / "other", "other")
    server, client = authority.issue("server"), authority.issue("client")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.ca_file)
    context.load_cert_chain(server.certificate, server.key)
    context.verify_mode = ssl.CERT_REQUIRED
    peer = Peer(context)
    try:
        right = TlsFiles(authority.ca_file, client.certificate, client.key)
        assert code_of(destinations(url(peer, "https"), tls=right)) == ""
        for files in (TlsFiles(authority.ca_file), TlsFiles(other.ca_file, client.certificate, client.key)):
            assert code_of(destinations(url(peer, "https"), tls=files)) == "DLV-001"
        assert len(peer.got) == 1
    finally:
        peer.close()


@pytest.mark.parametrize(
    "address",
    ["http://pacs.example/studies", "ftp://127.0.0.1/x", "https:///studies", "https://u:p@pacs.example/studies", "x"],
)
def test_addresses_that_cannot_work_are_refused(destinations, address):
    with pytest.raises(TarnhelmError) as caught:
        destinations(address)
    assert caught.value.code == "DLV-021"


@pytest.mark.parametrize("content", [b"", b"x" * 131, b"x" * 200])
def test_what_is_no_dicom_is_held(peer, destinations, content):
    assert code_of(destinations(url(peer)), content) == "DLV-015"
    assert not peer.got


def test_a_server_that_is_busy_for_a_while_gets_everything(peer, destinations, tmp_path):
    world = World(tmp_path / "world")
    peer.answer = (503, {}, b"")
    contents = {dicom_bytes(number) for number in range(1, 9)}
    for number in range(1, 9):
        world.verified(number)
    with world.running(route(destinations(url(peer)), workers=2)):
        until(lambda: world.events("destination-paused"))
        peer.answer = stored()
        all_released(world, 8)
    assert set(peer.got) == contents
    world.close()


def test_the_notice_is_a_file(destinations, tmp_path):
    destinations("https://pacs.example/studies").withdraw(Notice("c" * 64, "p", ("TH-1",), (), document=b"{}"))
    assert (tmp_path / "notices" / f"{'c' * 64}.json").read_bytes() == b"{}\n"
