"""Take the documentation's screenshots with headless Chromium: ``python tools/take_screenshots.py DEMO IMAGES``.

DEMO is the folder of ``make demo``. The pictures are reduced to a palette, so that each stays below 150 KB.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

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
    page = demo / "cleaned" / "report" / "index.html"
    if not page.exists():
        print("No report: run make demo first", file=sys.stderr)
        return 2
    images.mkdir(parents=True, exist_ok=True)
    picture = images / "report.png"
    shoot(browser, page, picture)
    size = picture.stat().st_size
    print(f"{picture.name}: {size:,} bytes")
    return 3 if size > LIMIT_BYTES else 0


def shoot(browser: str, page: Path, picture: Path) -> None:
    """Write a picture of the top of a page."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.png"
        # Nothing may be fetched; a profile of its own, so that no user's settings show.
        options = [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--no-first-run", "--hide-scrollbars", f"--user-data-dir={folder}/profile",
            f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={raw}",
        ]  # fmt: skip
        subprocess.run([browser, *options, page.as_uri()], check=True, capture_output=True, timeout=120)
        with Image.open(raw) as taken:
            taken.convert("RGB").quantize(256, Image.Quantize.FASTOCTREE).save(picture, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
