"""Take the documentation's screenshots with headless Chromium: ``python -m tools.take_screenshots DEMO IMAGES``.

DEMO is the folder of ``make demo``, for the report; the gateway's pages are taken from a state that is made up here. The
pictures are reduced to a palette, so that each stays below 150 KB.
"""

from __future__ import annotations

import http.client
import http.server
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from PIL import Image
from tools.demo_gateway import Running, World, fill_charts, plant

from tarnhelm.gateway.admin.server import AdminServer
from tarnhelm.gateway.admin.settings import Role
from tarnhelm.gateway.web.server import WebServer

WIDTH, HEIGHT = 1100, 980
LIMIT_BYTES = 150_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main() -> int:
    """Take them; exit code 2 without a browser, 3 if a picture is too large."""
    demo, images = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    browser = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if browser is None:
        print("No Chromium: install Debian's package chromium", file=sys.stderr)
        return 2
    images.mkdir(parents=True, exist_ok=True)
    pictures = gateway_pages(browser, images)
    page = demo / "cleaned" / "report" / "index.html"
    if page.exists():
        pictures.append(shoot(browser, page.as_uri(), images / "report.png"))
    else:
        print("No report: run make demo first", file=sys.stderr)
    too_large = False
    for picture in pictures:
        size = picture.stat().st_size
        too_large |= size > LIMIT_BYTES
        print(f"{picture.name}: {size:,} bytes")
    return 3 if too_large else 0 if page.exists() else 2


def gateway_pages(browser: str, images: Path) -> list[Path]:
    """Serve a made-up gateway and take its pages."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        try:
            held = plant(world)
            admin = AdminServer(world.admin_settings(sample_seconds=600.0), world.parts())
            fill_charts(admin, world.now)
            with Running(admin) as port:
                web = WebServer(world.web_settings(port), world.log)
                web.accounts.add("s.okafor", "S. Okafor", Role.ADMIN, secrets.token_urlsafe(12))
                token = web.accounts.open_session(web_person(web))
                with Running(web) as listening, Cookie(listening, f"tarnhelm={token}") as address:
                    shots = [
                        ("web-overview", "/", 1280, 1330, False),
                        ("web-overview-dark", "/", 1280, 1330, True),
                        ("web-overview-narrow", "/", 800, 1800, False),
                        ("web-quarantine", "/quarantine?code=PIX-001", 1280, 1260, False),
                        ("web-object", f"/objects/{held['PIX-001']}", 1280, 1000, False),
                        ("web-header", f"/objects/{held['released']}/header", 1280, 1180, False),
                    ]
                    taken = [
                        shoot(browser, address + path, images / f"{name}.png", width, height, dark=dark)
                        for name, path, width, height, dark in shots
                    ]
                    taken.append(
                        shoot(browser, f"http://127.0.0.1:{listening}/login", images / "web-login.png", 800, 620)
                    )
                    return taken
        finally:
            world.close()


def web_person(web: WebServer):  # noqa: ANN201 - a Person, whose module the command does not need
    """The person of the one account."""
    from tarnhelm.gateway.admin.people import Person  # noqa: PLC0415

    account = web.accounts.everyone()[0]
    return Person(account.subject, account.person, account.role)


class Cookie:
    """A proxy on this machine that adds a session's cookie: a browser without a profile cannot sign in."""

    def __init__(self, port: int, cookie: str) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                there = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                there.request("GET", self.path, headers={"Cookie": cookie, "Host": f"127.0.0.1:{port}"})
                answer = there.getresponse()
                if self.path == "/live":
                    self._stream(answer)
                    there.close()
                    return
                body = answer.read()
                self.send_response(answer.status)
                for name in ("Content-Type", "Content-Security-Policy"):
                    if answer.headers[name]:
                        self.send_header(name, answer.headers[name])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                there.close()

            def _stream(self, answer: http.client.HTTPResponse) -> None:
                """Hand on the first event, and keep the stream for as long as a picture takes."""
                self.send_response(answer.status)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                blank = 0
                while blank < 2 and (line := answer.readline()):
                    self.wfile.write(line)
                    blank += line == b"\n"
                self.wfile.flush()
                time.sleep(3)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def shoot(
    browser: str, address: str, picture: Path, width: int = WIDTH, height: int = HEIGHT, *, dark: bool = False
) -> Path:
    """Write a picture of the top of a page."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.png"
        # Nothing may be fetched; a profile of its own, so that no user's settings show.
        options = [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--no-first-run", "--hide-scrollbars", f"--user-data-dir={folder}/profile",
            f"--window-size={width},{height}", f"--screenshot={raw}",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        ]  # fmt: skip
        subprocess.run([browser, *options, address], check=True, capture_output=True, timeout=120)
        with Image.open(raw) as taken:
            taken.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT).save(picture, optimize=True)
    return picture


if __name__ == "__main__":
    sys.exit(main())
