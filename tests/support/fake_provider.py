"""A small OpenID provider on 127.0.0.1, which also says what a real one should not."""

from __future__ import annotations

import http.server
import json
import threading
import time
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa


class FakeProvider:
    """Keys, tokens, and the device flow; ``answers`` are what the token address says next."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answers: list[Any] = []
        self.device: dict[str, Any] = {
            "device_code": "device-1", "user_code": "ABCD-EFGH", "verification_uri": "https://id.example/device",
            "expires_in": 600, "interval": 1,
        }  # fmt: skip
        self.extra: dict[str, Any] = {}
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._say(*provider.get(self.path))

            def do_POST(self) -> None:
                form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                self._say(*provider.post(self.path, form))

            def _say(self, status: int, body: Any) -> None:
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        self.issuer = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.add_key("one")

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def add_key(self, name: str, kind: str = "RSA") -> None:
        self.keys[name] = (
            rsa.generate_private_key(public_exponent=65537, key_size=2048)
            if kind == "RSA"
            else ec.generate_private_key(ec.SECP256R1())
        )

    def get(self, path: str) -> tuple[int, Any]:
        self.asked.append((path, {}))
        if path == "/.well-known/openid-configuration":
            document = {
                "issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys", "token_endpoint": f"{self.issuer}/token",
                "authorization_endpoint": f"{self.issuer}/authorize",
                "device_authorization_endpoint": f"{self.issuer}/device",
            }  # fmt: skip
            return 200, {**document, **self.extra}
        if path == "/keys":
            return 200, {"keys": [self._public(name) for name in self.keys]}
        return 404, {}

    def post(self, path: str, form: dict[str, str]) -> tuple[int, Any]:
        self.asked.append((path, form))
        if path == "/device":
            return 200, self.device
        if path == "/token" and self.answers:
            answer = self.answers.pop(0)
            return (200, answer) if "id_token" in answer else (400, answer)
        return 404, {}

    def claims(self, **changed: Any) -> dict[str, Any]:
        now = int(time.time())
        whole = {"iss": self.issuer, "sub": "u-1", "aud": "tool", "iat": now, "exp": now + 600, **changed}
        return {name: value for name, value in whole.items() if value is not None}

    def token(self, name: str = "one", algorithm: str = "RS256", headers: Any = None, **changed: Any) -> str:
        return jwt.encode(self.claims(**changed), self.keys[name], algorithm, headers={"kid": name, **(headers or {})})

    def count(self, path: str) -> int:
        return sum(urlsplit(asked).path == path for asked, _ in self.asked)

    def _public(self, name: str) -> dict[str, Any]:
        key = self.keys[name].public_key()
        made = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPublicKey) else jwt.algorithms.ECAlgorithm
        return {**json.loads(made.to_jwk(key)), "kid": name, "use": "sig"}
