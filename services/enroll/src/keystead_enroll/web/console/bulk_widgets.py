"""A bulk job's page: the context of `console/bulk_job.html` and of the part of it that goes on by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from keystead_enroll.web.console.cells import Cell, Tone
from keystead_enroll.web.console.widgets import Action, Crumb, Notice, Section, Table, TimelineEntry


@dataclass(frozen=True)
class Count:
    """How many rows stand somewhere, and the list of them."""

    label: str
    number: int
    url: str
    tone: Tone = "calm"


@dataclass(frozen=True)
class BulkProgress:
    """`console/bulk_progress.html`: how far a job has come. `state` is the program's name of where it stands: another
    one needs another page. The bar is `value` of `most`; without `most` nothing is known yet."""

    template: ClassVar[str] = "console/bulk_progress.html"
    state: str
    value: int
    most: int
    told: str
    """The bar in words: "6,120 of 10,000 rows"."""
    pace: str = ""
    """Rate and time left."""
    counts: tuple[Count, ...] = ()
    remark: str = ""
    """What somebody has to do for it to go on."""
    refused: Table | None = None
    """The first rows that were refused or failed, with line, field and reason; None if there are none."""
    refused_actions: tuple[Action, ...] = ()

    @property
    def percent(self) -> int:
        """The bar's share, whole only when it is."""
        return self.value * 100 // self.most if self.most else 0


@dataclass(frozen=True)
class BulkJobPage:
    """`console/bulk_job.html`. `live_url` has the progress alone, for as long as there is some; "" once it is over."""

    template: ClassVar[str] = "console/bulk_job.html"
    title: str
    progress: BulkProgress
    sections: tuple[Section, ...]
    subtitle: str = ""
    tag: Cell | None = None
    crumbs: tuple[Crumb, ...] = ()
    actions: tuple[Action, ...] = ()
    notices: tuple[Notice, ...] = ()
    timeline: tuple[TimelineEntry, ...] | None = None
    live_url: str = ""
