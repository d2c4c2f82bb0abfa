"""Pages as tests pass them: a picture of each, and what it lacks for anybody who sees or uses it differently."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page
from tests.support import page_audit

PICTURES = Path(__file__).parents[2] / "var/screenshots"
NARROW = 360


@dataclass
class Gallery:
    """What was seen, by page. `name` begins the names of its pictures."""

    name: str
    mistakes: dict[str, list[str]] = field(default_factory=dict)
    loaded: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Page → octets, milliseconds."""

    def look(self, page: Page, name: str) -> None:
        """Looks at the page, wide and narrow, and leaves the window as it was."""
        octets, milliseconds = page_audit.weight(page), page_audit.load_milliseconds(page)
        self.loaded[name] = octets, milliseconds
        self._note(name, "structure", page_audit.unnamed_controls(page) + page_audit.structure_mistakes(page))
        self._note(name, "axe", page_audit.axe_mistakes(page))
        heavy = [f"{octets} octets"] if octets >= page_audit.MOST_BYTES else []
        self._note(name, "weight", heavy)
        self._picture(page, f"{name}-wide")
        before = page.viewport_size
        page.set_viewport_size({"width": NARROW, "height": 800})
        self._note(name, f"at {NARROW} px", page_audit.sideways(page))
        page.emulate_media(color_scheme="dark")
        self._picture(page, f"{name}-narrow-dark")
        page.emulate_media(color_scheme="light")
        if before:
            page.set_viewport_size(before)

    def _note(self, name: str, what: str, found: list[str]) -> None:
        if found:
            self.mistakes[f"{name}: {what}"] = found

    def _picture(self, page: Page, name: str) -> None:
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=PICTURES / f"guide-{self.name}-{name}.png", full_page=True)


@contextmanager
def gallery(name: str) -> Iterator[Gallery]:
    """A gallery that prints what pages weighed and took. In the end nothing was wrong with any."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    seen = Gallery(name)
    yield seen
    for page, (octets, milliseconds) in seen.loaded.items():
        print(f"{name}: {page}: {octets / 1000:.0f} kB, {milliseconds} ms")
    assert seen.mistakes == {}, seen.mistakes
