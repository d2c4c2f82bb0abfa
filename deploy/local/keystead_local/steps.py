"""Steps on a terminal: what is being done, ✓ or ✗, and how long it took."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

SHOW_SECONDS_AFTER = 2.0
INDENT = "   "


class StepFailed(Exception):
    """A step did not come out as it must. `log` is what helps to see why, `hint` what to do."""

    def __init__(self, detail: str, *, hint: str = "", log: str = "") -> None:
        super().__init__(detail)
        self.hint, self.log = hint, log


@dataclass
class Step:
    """One step. `note` is printed behind its title once it is done."""

    title: str
    note: str = ""


@dataclass
class Steps:
    """Prints steps and keeps their times (`milliseconds`, by title)."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    milliseconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Does what the block does and prints how it came out; after two seconds a terminal shows how long it is
        taking. An exception goes on."""
        step, started = Step(title), time.perf_counter()
        with self._ticking(title, started):
            try:
                yield step
            except BaseException:
                self._line("✗", step, time.perf_counter() - started, "31")
                raise
        took = time.perf_counter() - started
        self.milliseconds[title] = round(took * 1000, 1)
        self._line("✓", step, took, "32")

    def passed(self, title: str, seconds: float, note: str = "") -> None:
        """A step that somebody else timed."""
        self.milliseconds[title] = round(seconds * 1000, 1)
        self._line("✓", Step(title, note), seconds, "32")

    def say(self, text: str = "", style: str = "") -> None:
        """A line of its own."""
        print(self._styled(text, style), file=self.out, flush=True)

    def _line(self, sign: str, step: Step, seconds: float, colour: str) -> None:
        clear = "\r\x1b[K" if self.out.isatty() else ""
        note = f"  {self._styled(step.note, '2')}" if step.note else ""
        took = f"{seconds * 1000:>7,.0f} ms"
        self.say(f"{clear} {self._styled(sign, colour)} {step.title:<{self._width()}} {took}{note}")

    @contextmanager
    def _ticking(self, title: str, started: float) -> Iterator[None]:
        if not self.out.isatty():
            yield
            return
        done = threading.Event()

        def tick() -> None:
            shown = ""
            while True:
                took = time.perf_counter() - started
                seconds = f" {took:.0f} s" if took > SHOW_SECONDS_AFTER else ""
                if seconds != shown or not shown:
                    print(f"\r\x1b[K {self._styled('…', '2')} {title}{seconds}", end="", file=self.out, flush=True)
                    shown = seconds
                if done.wait(0.5):
                    return

        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            yield
        finally:
            done.set()
            ticker.join()

    def _styled(self, text: str, style: str) -> str:
        plain = not style or not self.out.isatty() or os.environ.get("NO_COLOR")
        return text if plain else f"\x1b[{style}m{text}\x1b[0m"

    @staticmethod
    def _width() -> int:
        return 46 if shutil.get_terminal_size((100, 24)).columns >= 80 else 34
