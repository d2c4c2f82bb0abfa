"""Renders every page and letter with sample data into a folder, and takes screenshots of them.

    python tests/support/preview_pages.py OUT [NAME …] [--language TAG] [--no-screenshots]

OUT/<name>.html are the pages, OUT/letters the letters, OUT/shots/<name>-<width>-<light|dark>.png the screenshots
(360 and 1100 px wide, by Chromium under the portal's own content security policy). NAMEs take only pages that begin so.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from playwright.sync_api import Browser, sync_playwright
from tests.support.letter_samples import FACTS, render_letter
from tests.support.page_sample_data import STATIC, Sample, render
from tests.support.page_samples import pages

from keystead_kit.edge import CSP
from keystead_kit.i18n import language, speaking

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu"]
WIDTHS = (360, 1100)


class Handler(SimpleHTTPRequestHandler):
    """Files with the portal's policy; `/events/<name>` tells a page's progress once and stays open for a minute."""

    protocol_version = "HTTP/1.1"

    def end_headers(self) -> None:
        if not self.path.startswith("/letters/"):
            self.send_header("content-security-policy", CSP)
        super().end_headers()

    def do_GET(self) -> None:
        if not self.path.startswith("/events/"):
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        told = Path(self.directory, f"{self.path.removeprefix('/')}.json").read_text(encoding="utf-8")
        self.wfile.write(f"event: progress\ndata: {told}\n\n".encode())
        self.wfile.flush()
        threading.Event().wait(60)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder at an origin of its own on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def shown(folder: Path, pages: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Pages, by name, with the static files that they need, in `folder`; the origin where they are served."""
    shutil.copytree(STATIC, folder / "static")
    for name, page in pages:
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    with served(folder) as address:
        yield address


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


def write(folder: Path, samples: list[Sample]) -> None:
    """Pages, letters, static files and an index."""
    shutil.copytree(STATIC, folder / "static", dirs_exist_ok=True)
    (folder / "letters").mkdir(parents=True, exist_ok=True)
    (folder / "events").mkdir(exist_ok=True)
    for sample in samples:
        (folder / f"{sample.name}.html").write_text(render(sample), encoding="utf-8")
        if "progress" in sample.context:
            (folder / "events" / f"{sample.name}.json").write_text(
                json.dumps(sample.context["progress"]), encoding="utf-8"
            )
    for name, fact in FACTS.items():
        spoken = fact.model_copy(update={"language": language().tag})
        for suffix in ("txt", "html"):
            (folder / "letters" / f"{name}.{suffix}").write_text(render_letter(name, suffix, spoken), encoding="utf-8")
    names = [f"{sample.name}.html" for sample in samples] + [f"letters/{name}.html" for name in FACTS]
    links = "".join(f'<li><a href="/{name}">{name}</a></li>' for name in names)
    (folder / "index.html").write_text(f"<!doctype html><title>Pages</title><ul>{links}</ul>", encoding="utf-8")


def photograph(folder: Path, names: list[str]) -> None:
    """A screenshot of each page at each width, light and dark; console errors are printed."""
    (folder / "shots").mkdir(exist_ok=True)
    with served(folder) as origin, chromium() as browser:
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                context = browser.new_context(
                    viewport={"width": width, "height": 740},
                    color_scheme="dark" if scheme == "dark" else "light",
                    reduced_motion="reduce",
                    locale="en-GB",
                    timezone_id="Europe/Berlin",
                )
                page = context.new_page()
                page.on("console", lambda message: print(f"{message.type}: {message.text}"))
                page.on("pageerror", lambda error: print(f"error: {error}"))
                for name in names:
                    page.goto(f"{origin}/{name}.html", wait_until="load")
                    page.wait_for_timeout(150)
                    page.evaluate("document.fonts.ready")
                    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                        print(f"{name}: wider than {width} px")
                    shot = folder / "shots" / f"{name.replace('/', '-')}-{width}-{scheme}.png"
                    page.screenshot(path=shot, full_page=True)
                context.close()


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", help="only pages whose name begins so")
    parser.add_argument("--language", default="en")
    parser.add_argument("--no-screenshots", action="store_true")
    options = parser.parse_args()
    samples = pages()
    with speaking(options.language):
        write(options.out, samples)
    names = [sample.name for sample in samples] + [f"letters/{name}" for name in FACTS]
    chosen = [name for name in names if not options.names or name.startswith(tuple(options.names))]
    if not options.no_screenshots:
        photograph(options.out, chosen)
    print(f"{len(chosen)} pages in {options.out}")


if __name__ == "__main__":
    main()
