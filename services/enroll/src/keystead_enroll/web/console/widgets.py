"""What the console's pages show, as plain values: each page here is the context of one template.

A route makes a page and renders it with the frame around it:

    context.pages.render(page.template, frame=frame, page=page, form_token=token)

`Pages.problem(…, frame={"layout": LAYOUT, "frame": frame, "form_token": token})` puts it around a refusal. Values in
tables are made by `cells`; forms and confirmations are in `form_widgets`.

Texts are for people and escaped by the templates; sentences show what stands between backticks as code. Every `url` is
a path of this site, made by a route, never typed by somebody. A `tone` is a state's colour, always beside a word: good,
warn, bad, or calm for all that needs nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from keystead_enroll.web.console.cells import Cell, Pairs, Tone

LAYOUT = "console/base.html"


# -- the frame -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NavItem:
    """A line of the navigation. `key` names its words and its icon in `console/nav.html`."""

    key: str
    url: str
    current: bool = False
    count: int = 0
    """How many wait there; 0 shows nothing."""


@dataclass(frozen=True)
class NavGroup:
    """Lines that belong together; `key` names the heading, "" for none."""

    key: str
    items: tuple[NavItem, ...]


@dataclass(frozen=True)
class Notice:
    """What has just happened, on the page that a form leads to: "Saved." `copy`: a secret that is shown this once, and
    `copy_name` what it is. `action` leads to what mends it."""

    text: str
    tone: Tone = "good"
    copy: str = ""
    copy_name: str = ""
    action: Action | None = None


@dataclass(frozen=True)
class Frame:
    """What surrounds every page of the console."""

    nav: tuple[NavGroup, ...]
    email: str
    name: str = ""
    role: str = ""
    """What they are, in a word or two: "Master administrator"."""
    sign_out_url: str = "/console/sign-out"
    home_url: str = "/console"
    account_url: str = ""
    notice: Notice | None = None


@dataclass(frozen=True)
class Crumb:
    """A page above this one."""

    label: str
    url: str


@dataclass(frozen=True)
class Tab:
    """One of several pages about the same thing, or of several views of a list."""

    label: str
    url: str
    current: bool = False
    count: int | None = None


@dataclass(frozen=True)
class Action:
    """A button: a link to the page that does it, or with `post` the deed itself. `danger` looks so; it leads to a
    ConfirmPage by GET."""

    label: str
    url: str
    kind: Literal["primary", "plain", "danger"] = "plain"
    method: Literal["get", "post"] = "get"
    hidden: Pairs = ()
    """Fields to send along by POST."""
    icon: str = ""


# -- lists ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """A column. `sort_url` sorts by it (the other way round where it is sorted already)."""

    key: str
    label: str
    sort_url: str = ""
    sorted: Literal["", "ascending", "descending"] = ""
    narrow: bool = False
    """As narrow as its values: numbers, dates, states."""


@dataclass(frozen=True)
class Row:
    """A thing. `url` is its own page, which the first cell links to; `key` is sent when it is chosen for a `Bulk`."""

    url: str
    cells: tuple[Cell, ...]
    key: str = ""


@dataclass(frozen=True)
class Chip:
    """A filter in force: "type: device"."""

    label: str
    remove_url: str


@dataclass(frozen=True)
class SearchField:
    """A field that the search box understands: `expires`, `expires:<30d`, "valid for less than 30 days"."""

    name: str
    example: str
    meaning: str


@dataclass(frozen=True)
class SearchBox:
    """Search by GET to `action`, as `q`. `hidden` keeps sort order and page size; `clear_url` is the list without any
    search. `error`: what of it was not understood."""

    action: str
    text: str = ""
    fields: tuple[SearchField, ...] = ()
    chips: tuple[Chip, ...] = ()
    hidden: Pairs = ()
    clear_url: str = ""
    error: str = ""

    @property
    def active(self) -> bool:
        """Whether it hides anything."""
        return bool(self.text or self.chips)


@dataclass(frozen=True)
class PageSize:
    """A number of rows to choose."""

    size: int
    url: str
    current: bool = False


@dataclass(frozen=True)
class Choice:
    """A column that may be shown."""

    key: str
    label: str
    shown: bool


@dataclass(frozen=True)
class ColumnPicker:
    """Which columns to show: GET to `action` with `columns` once for each. `hidden` keeps the search."""

    action: str
    choices: tuple[Choice, ...]
    hidden: Pairs = ()


@dataclass(frozen=True)
class Bulk:
    """Check boxes (`name`, once for each row chosen), and the buttons below that POST them to each action's url, which
    answers with a ConfirmPage that has them `hidden`."""

    actions: tuple[Action, ...]
    name: str = "chosen"


@dataclass(frozen=True)
class Empty:
    """Instead of a table without rows: what these things are, and how to begin."""

    title: str
    text: str = ""
    action: Action | None = None


@dataclass(frozen=True)
class ListPage:
    """`console/list.html`. `total` is all that the search found, where that is known; `next_url` the following page,
    `first_url` the way back to the beginning. `empty` is for a list that has nothing at all: a search without a result
    has words of its own."""

    template: ClassVar[str] = "console/list.html"
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    empty: Empty
    intro: str = ""
    crumbs: tuple[Crumb, ...] = ()
    tabs: tuple[Tab, ...] = ()
    create: Action | None = None
    actions: tuple[Action, ...] = ()
    search: SearchBox | None = None
    total: int | None = None
    next_url: str = ""
    first_url: str = ""
    page_sizes: tuple[PageSize, ...] = ()
    export_url: str = ""
    picker: ColumnPicker | None = None
    remembered: str | None = None
    """What the browser is to remember of the columns from now on; None for what it does."""
    bulk: Bulk | None = None


# -- one thing -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fact:
    """A line about a thing."""

    label: str
    cell: Cell
    hint: str = ""


@dataclass(frozen=True)
class Table:
    """Some things that belong to the page's thing, `empty` says that there are none."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    empty: str = ""


@dataclass(frozen=True)
class Preview:
    """The first page of an enrollment form as a person sees it. `methods`: email, idp, secret_id."""

    organization: str
    name: str
    methods: tuple[str, ...]
    help_text: str = ""
    help_link: str = ""
    url: str = ""
    """The real page."""


@dataclass(frozen=True)
class Section:
    """A part of a page: facts, a table, text (line breaks are kept), a machine's text, or a form's preview. `actions`
    stand beside its title."""

    title: str
    facts: tuple[Fact, ...] = ()
    table: Table | None = None
    text: str = ""
    code: str = ""
    preview: Preview | None = None
    intro: str = ""
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True)
class TimelineEntry:
    """Something that happened. `changes`: field → what it became."""

    at: datetime
    who: str
    what: str
    detail: str = ""
    trace: str = ""
    tone: Tone = "calm"
    changes: Pairs = ()


@dataclass(frozen=True)
class DetailPage:
    """`console/detail.html`. `notices` say what is the matter with the thing; `timeline` is newest first, None hides it
    and `timeline_url` has the rest of it."""

    template: ClassVar[str] = "console/detail.html"
    title: str
    sections: tuple[Section, ...]
    subtitle: str = ""
    tag: Cell | None = None
    crumbs: tuple[Crumb, ...] = ()
    tabs: tuple[Tab, ...] = ()
    actions: tuple[Action, ...] = ()
    notices: tuple[Notice, ...] = ()
    timeline: tuple[TimelineEntry, ...] | None = None
    timeline_url: str = ""


# -- the dashboard -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Need:
    """Something that waits for the administrator: 3, "requests await approval", and the list of them."""

    count: int
    text: str
    url: str
    tone: Tone = "warn"


@dataclass(frozen=True)
class Point:
    """A column or bar: what it stands for, a number for each series of its chart, and the list of what it counts."""

    label: str
    values: tuple[int, ...]
    url: str = ""

    @property
    def total(self) -> int:
        """All series together."""
        return sum(self.values)


@dataclass(frozen=True)
class Chart:
    """Numbers, drawn: `columns` for time (at most 16, of at most 4 series), `bars` for parts of a whole (one
    series)."""

    title: str
    points: tuple[Point, ...]
    kind: Literal["columns", "bars"] = "columns"
    series: tuple[str, ...] = ()
    """Names of the series, with more than one."""
    intro: str = ""
    point_name: str = ""
    """What a point is, heads the first column of its table: "Week"."""
    empty: str = ""

    @property
    def top(self) -> int:
        """The highest number, at least 1: what fills the chart's height or width."""
        return max([1, *(point.total for point in self.points)])

    @property
    def total(self) -> int:
        """All points together."""
        return sum(point.total for point in self.points)


@dataclass(frozen=True)
class Dashboard:
    """`console/dashboard.html`. Needs of which there are none are left out."""

    template: ClassVar[str] = "console/dashboard.html"
    needs: tuple[Need, ...]
    charts: tuple[Chart, ...] = ()
    start: Empty | None = None
    """For a console in which nothing is set up yet: what to do first."""
