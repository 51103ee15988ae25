"""References to a web server: what a producer names must not turn the gateway into a way into the network."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import ipaddress
import socket
import ssl
import threading
import time

import pytest
from tests.support.certificates import Authority

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.doors.ingest_settings import HttpReferences, ReferenceSettings
from tarnhelm.gateway.doors.reference_http import HttpSource, addresses_of, may_be_asked
from tarnhelm.gateway.doors.references import References
from tarnhelm.gateway.ingest.records import Reference

DATA = bytes(range(256)) * 3000
SIZE = len(DATA)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by path, and remembers what was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        name = self.path.partition("?")[0].rpartition("/")[2]
        getattr(self, f"_{name}", self._missing)()

    def _answer(self, status, body=DATA, **headers):
        self.send_response(status)
        for key, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def _good(self):
        self._answer(200)

    def _redirect(self):
        self._answer(302, b"", Location="http://169.254.169.254/latest/meta-data/")

    def _same_redirect(self):
        self._answer(307, b"", Location="/exports/good")

    def _missing(self):
        self._answer(404, b"")

    def _busy(self):
        self._answer(503, b"")

    def _short(self):
        self._answer(200, DATA[:-1])

    def _packed(self):
        self._answer(200, Content_Encoding="gzip")

    def _lying(self):
        self._answer(200, DATA[:1000], Content_Length=str(len(DATA)))
        self.close_connection = True

    def _endless(self):
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(bytes(65536))

    def _slow(self):
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(600):
                self.wfile.write(b"x")
                time.sleep(0.05)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(context=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.asked = []
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server():
    with serving() as made:
        yield made


def read(server, name, *, size=SIZE, networks=("127.0.0.0/8",), resolve=None, settings=None, **given):
    prefix = f"http://files.hospital.example:{server.server_port}/exports/"
    place = HttpReferences(prefix, networks, plaintext_allowed=True, **given)
    settings = settings or ReferenceSettings(http=(place,))
    source = HttpSource(place, settings, resolve=resolve or (lambda *_: ["127.0.0.1"]))
    return b"".join(source.pieces(name, size))


def code_of(call, *args, **kwargs):
    with pytest.raises(TarnhelmError) as caught:
        call(*args, **kwargs)
    return caught.value.code


def test_the_body_of_one_answer(server, tmp_path):
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("secret-token\n")
    assert read(server, "a%20b/good?signature=1", bearer_token_file=token) == DATA
    [(path, headers)] = server.asked
    assert path == "/exports/a%20b/good?signature=1"
    assert headers["Host"] == f"files.hospital.example:{server.server_port}"
    assert headers["Authorization"] == "Bearer secret-token"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("redirect", "ING-012"),
        ("same_redirect", "ING-012"),
        ("missing", "ING-014"),
        ("busy", "ING-015"),
        ("short", "ING-009"),
        ("packed", "ING-009"),
        ("lying", "ING-015"),
        ("../good", "ING-012"),
        ("%2e%2e/good", "ING-012"),
        ("a//good", "ING-012"),
    ],
)
def test_answers_that_are_none(server, name, code):
    assert code_of(read, server, name) == code
    assert len(server.asked) <= 1


def test_no_more_is_read_than_was_promised(server):
    assert len(read(server, "endless", size=100_000)) == 100_001


def test_a_server_that_drips_is_cut_off(server):
    begun = time.monotonic()
    settings = ReferenceSettings(silence_seconds=0.5, slowest_bytes_per_second=1e9)
    assert code_of(read, server, "slow", settings=settings) == "ING-015"
    assert time.monotonic() - begun < 15


@pytest.mark.parametrize(
    "addresses",
    [
        ["169.254.169.254"],
        ["127.0.0.1", "169.254.169.254"],  # one good one beside it
        ["::ffff:169.254.169.254"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::a9fe:a9fe"],
        ["2002:a9fe:a9fe::1"],
        ["fe80::1%eth0"],
        ["fd00:ec2::254"],
        ["100.100.100.200"],
        ["0.0.0.0"],  # noqa: S104  # nobody binds to it
        ["::"],
        ["224.0.0.1"],
        ["10.1.2.3"],
        ["192.168.0.1"],
        ["172.16.0.1"],
        ["100.64.0.1"],
        ["fc00::1"],
        ["::1"],
        ["not an address"],
    ],
)
def test_a_name_that_leads_inside_is_never_connected_to(server, addresses, monkeypatch):
    tried = []
    monkeypatch.setattr(socket, "create_connection", lambda *args: tried.append(args))
    assert code_of(read, server, "good", resolve=lambda *_: addresses) == "ING-012"
    assert not tried


def test_even_an_allowed_network_holds_no_metadata_address():
    everything = [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
    assert may_be_asked("10.1.2.3", everything)
    assert may_be_asked("::1", everything)
    assert may_be_asked("8.8.8.8", [])
    for address in ("169.254.169.254", "fe80::1", "100.100.100.200", "fd00:ec2::254", "::ffff:10.0.0.1", "240.0.0.1"):
        assert not may_be_asked(address, everything)


def test_the_name_is_asked_for_once_and_the_address_that_was_looked_at_is_used(server):
    answers = [["127.0.0.1"], ["169.254.169.254"]]
    asked = []

    def rebinding(host, port):
        asked.append(host)
        return answers[len(asked) - 1]

    assert read(server, "good", resolve=rebinding) == DATA
    assert asked == ["files.hospital.example"]


def test_loopback_needs_an_express_network(server):
    assert code_of(read, server, "good", networks=()) == "ING-012"
    assert not server.asked


def test_nobody_there_is_away():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = HttpReferences(f"http://127.0.0.1:{port}/", ("127.0.0.0/8",), plaintext_allowed=True)
    source = HttpSource(place, ReferenceSettings(http=(place,)))
    assert code_of(lambda: list(source.pieces("x", 1))) == "ING-015"
    assert addresses_of("127.0.0.1", 80) == ["127.0.0.1"]


def test_tls_knows_the_host_by_its_name(tmp_path):
    authority = Authority(tmp_path / "ca")
    pair = authority.issue("server", "files.hospital.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    with serving(context) as server:
        for host, ca_file, good in (
            ("files.hospital.example", authority.ca_file, True),
            ("other.hospital.example", authority.ca_file, False),
            ("files.hospital.example", None, False),
        ):
            prefix = f"https://{host}:{server.server_port}/"
            place = HttpReferences(prefix, ("127.0.0.0/8",), ca_file=ca_file)
            source = HttpSource(place, ReferenceSettings(http=(place,)), resolve=lambda *_: ["127.0.0.1"])
            if good:
                assert b"".join(source.pieces("good", len(DATA))) == DATA
            else:
                assert code_of(lambda source=source: list(source.pieces("good", len(DATA)))) == "ING-015"


def test_the_whole_way_by_a_reference(server):
    prefix = f"http://127.0.0.1:{server.server_port}/exports/"
    place = HttpReferences(prefix, ("127.0.0.0/8",), plaintext_allowed=True)
    references = References(ReferenceSettings(http=(place,)), clock=lambda: 1000.0)
    digest = hashlib.sha256(DATA).digest()
    assert b"".join(references.pieces(Reference(f"{prefix}good", len(DATA), digest, 1001.0))) == DATA
    assert code_of(references.pieces, Reference(f"{prefix}good", len(DATA), digest, 1000.0)) == "ING-013"
    user = prefix.replace("127.0.0.1", "evil@127.0.0.1")
    for uri in (user, prefix.upper(), prefix + "good#x", prefix + "a\\b", prefix + "\tgood", prefix + "ü", "//x/y"):
        assert code_of(references.pieces, Reference(uri, 1, digest, 1001.0)) == "ING-012"


@pytest.mark.parametrize(
    "given",
    [
        {"prefix": "https://host/exports"},
        {"prefix": "https://user@host/exports/"},
        {"prefix": "https:///exports/"},
        {"prefix": "https://host/exports/?a=b/"},
        {"prefix": "ftp://host/exports/"},
        {"prefix": "http://host/exports/", "plaintext_allowed": False},
        {"prefix": "https://host/", "networks": ("10.0.0.0/99",)},
    ],
)
def test_prefixes_that_settings_refuse(given):
    with pytest.raises(ValueError, match=r"."):
        ReferenceSettings(http=(HttpReferences(**given),))
