"""Watches a bulk job until it ends: a bar on a terminal, plain lines elsewhere, JSON lines for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from keystead_enroll.remote.client import NotReachable, Refused, Remote, RemoteError
from keystead_enroll.remote.output import clean, show_json

Job = Mapping[str, Any]
EVERY_SECONDS, LINE_SECONDS = 1.0, 10.0
"""How often the server is asked, and how often a line is written where nobody watches."""
PATIENCE_SECONDS = 180.0
"""How long a server may be silent, or too busy, before watching ends."""
ENDED = frozenset({"finished", "cancelled", "refused"})
AT_WORK = ("ready", "offered", "csr_accepted", "signing", "issued")
_STYLES = {"installed": "green", "refused": "red", "failed": "red", "cancelled": "yellow", "waiting": "yellow"}


def went_well(job: Job) -> bool:
    """Whether a job that ended has a certificate for every row."""
    stages = job["progress"]["stages"]
    return job["state"] == "finished" and not any(stages[each] for each in ("refused", "failed", "cancelled"))


def counts_of(job: Job) -> dict[str, int]:
    """How many rows stand where, in a few words; what is nowhere is left out, installed ones are always told."""
    stages: Mapping[str, int] = job["progress"]["stages"]
    told = {
        "installed": stages["installed"],
        "at work": sum(stages[each] for each in AT_WORK),
        "waiting for their machine": stages["waiting"],
        "refused": stages["refused"],
        "failed": stages["failed"],
        "cancelled": stages["cancelled"],
    }
    return {name: count for name, count in told.items() if count or name == "installed"}


def line_of(job: Job) -> str:
    """A job in one line, for logs and pipes."""
    progress = job["progress"]
    parts = [f"{job['state']}: {progress['done']:,} of {progress['rows']:,} rows"]
    if progress["reading"]:
        parts.append(f"file read to {_share(progress['read_octets'], progress['octets'])} %")
    parts += [f"{count:,} {name}" for name, count in counts_of(job).items()]
    if progress["rate"]:
        parts.append(pace(progress["rate"]))
    if progress["seconds_left"] is not None:
        parts.append(f"{duration(progress['seconds_left'])} left")
    return ", ".join(parts)


def pace(rate: float) -> str:
    """Certificates a second, or a minute where they are few."""
    return f"{rate:,.1f}/s" if rate >= 1 else f"{rate * 60:.0f}/min"


def duration(seconds: float) -> str:
    """`0:00:21`, `2 d 3:04:05`."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"{f'{days} d ' if days else ''}{hour}:{minute:02}:{second:02}"


def _share(part: int, whole: int) -> int:
    return 100 if not whole else min(100, part * 100 // whole)


class Teller(Protocol):
    """How a job under way is told."""

    def tell(self, job: Job) -> None:
        """The job as it is now."""

    def trouble(self, error: RemoteError) -> None:
        """The server does not answer; it is asked again."""


class Lines:
    """A line when the state changes, and every so often; the last one says how it ended."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._last, self._state, self._at = now, "", "", 0.0

    def tell(self, job: Job) -> None:
        """Writes a line if it is time for one."""
        line, now = line_of(job), self._now()
        due = job["state"] != self._state or now - self._at >= LINE_SECONDS
        if line != self._last and due:
            click.echo(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC {line}")
            self._last, self._state, self._at = line, job["state"], now

    def trouble(self, error: RemoteError) -> None:
        """One line on stderr."""
        click.echo(f"{error.detail} Asking again.", err=True)


class JsonLines:
    """The job as the API tells it, a line each time that something changed."""

    def __init__(self) -> None:
        self._last: Job | None = None

    def tell(self, job: Job) -> None:
        """Writes it if it is another than before."""
        if job != self._last:
            show_json(job)
            self._last = job

    def trouble(self, error: RemoteError) -> None:
        """One line on stderr."""
        click.echo(f"{error.detail} Asking again.", err=True)


@dataclass
class Bar:
    """The job's name, a bar with rate and time left, and how many rows stand where."""

    live: Live
    progress: Progress
    task: Any
    above: Text = field(default_factory=Text)
    below: Text = field(default_factory=Text)

    @classmethod
    @contextmanager
    def drawn(cls, console: Console | None = None) -> Iterator[Bar]:
        """Draws until the block ends; the last picture stays."""
        progress = Progress(
            TextColumn(" "),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[share]:>3} %"),
            TextColumn("{task.fields[count]}", markup=False),
            TextColumn("{task.fields[pace]}", style="cyan", markup=False),
            expand=True,
        )
        with Live(console=console or Console(), refresh_per_second=8, transient=False) as live:
            task = progress.add_task("", total=None, share=0, count="", pace="")
            bar = cls(live, progress, task)
            live.update(bar.picture())
            yield bar

    def picture(self) -> RenderableType:
        """What is drawn."""
        return Group(self.above, self.progress, self.below)

    def tell(self, job: Job) -> None:
        """Draws the job as it is now."""
        progress = job["progress"]
        reading = progress["reading"] and job["state"] == "running"
        if reading and not progress["done"]:
            done, total, count = progress["read_octets"], progress["octets"], f"{progress['rows']:,} rows read"
        else:
            done, total = progress["done"], progress["rows"]
            count = f"{done:,} of {total:,}"
        how_fast = pace(progress["rate"]) if progress["rate"] else ""
        if progress["seconds_left"] is not None:
            how_fast = f"{how_fast}  {duration(progress['seconds_left'])} left"
        self.progress.update(
            self.task,
            completed=done,
            total=max(total, 1),
            share=_share(done, total) if total else 0,
            count=count,
            pace=how_fast,
        )
        self.above = Text.assemble((clean(job["name"]), "bold"), f"  {'reading the file' if reading else job['state']}")
        self.above.truncate(self.live.console.width, overflow="ellipsis")
        self.below = Text("  ")
        for number, (words, many) in enumerate(counts_of(job).items()):
            self.below.append(" · " if number else "")
            self.below.append(f"{many:,} {words}", style=_STYLES.get(words.partition(" ")[0], ""))
        self.live.update(self.picture())

    def trouble(self, error: RemoteError) -> None:
        """Says it below the bar."""
        self.below = Text.from_markup(f"  [yellow]{escape(clean(error.detail))} Asking again.[/]")
        self.live.update(self.picture())


def watch(
    remote: Remote,
    job_id: str,
    teller: Teller,
    *,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> Job:
    """Tells of the job until it ends, and answers what it became. A server that is silent, or too busy, for a while is
    asked again. Raises RemoteError."""
    etag, silent_since = "", None
    job: Job | None = None
    while True:
        try:
            fresh, etag = remote.fresh(f"/bulk-jobs/{job_id}", etag)
            job, silent_since = fresh or job, None
        except RemoteError as error:
            began = silent_since = silent_since if silent_since is not None else now()
            if not _may_pass(error) or now() - began > PATIENCE_SECONDS:
                raise
            teller.trouble(error)
        if job is not None and silent_since is None:
            teller.tell(job)
            if job["state"] in ENDED:
                return job
        sleep(EVERY_SECONDS)


def _may_pass(error: RemoteError) -> bool:
    return isinstance(error, NotReachable) or (
        isinstance(error, Refused) and (error.status == 429 or error.status >= 500)
    )


@contextmanager
def telling(*, as_json: bool) -> Iterator[Teller]:
    """How a job is told here."""
    if as_json:
        yield JsonLines()
    elif sys.stdout.isatty():
        with Bar.drawn() as bar:
            yield bar
    else:
        yield Lines()
