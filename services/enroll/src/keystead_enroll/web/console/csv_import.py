"""Things from a file in the console: checked first, then imported without choosing the file again.

This module evaluates its annotations when pages are added, because they name what is at hand: no `from __future__
import annotations` here.
"""

import base64
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from keystead_contracts.words import Words
from keystead_enroll.csv_text import CsvRefused
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.usecases.admin.csv_import import MOST_OCTETS, Imported
from keystead_enroll.web.console.cells import text
from keystead_enroll.web.console.form_widgets import FieldButton, Fieldset, FormField, FormPage
from keystead_enroll.web.console.tools import ConsoleTools, Posted
from keystead_enroll.web.console.widgets import Action, Column, Crumb, DetailPage, Fact, Notice, Row, Section, Table

CHECKED = "checked_file"
"""The field that carries a file which was checked, compressed."""
MOST_CARRIED = 2 * 1024 * 1024
SHOWN_MISTAKES = 200
MOST_NAMED = 5
NO_ERRORS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class ImportPlace:
    """Where things come from a file: below the list at `base`, called `top`. `every` leads to all of them; `verb` and
    `things` say with a number what is imported; `do` imports the file, or with True only checks it."""

    base: str
    nav: str
    top: str
    title: str
    intro: str
    every: str
    verb: Callable[[int], Words]
    things: Callable[[int], Words]
    do: Callable[[Visitor, bytes, bool], Imported]

    @property
    def own(self) -> str:
        """The page's address."""
        return f"{self.base}/import"

    @property
    def above(self) -> Crumb:
        """The list."""
        return Crumb(self.top, self.base)


def add_import_pages(pages: APIRouter, tools: ConsoleTools, place: ImportPlace) -> None:
    """The pages; they come before those about one thing."""
    Here = Annotated[Visitor, Depends(tools.visitor)]
    Sent = Annotated[Posted, Depends(tools.posted)]

    @pages.get(place.own)
    def show_import(request: Request, visitor: Here) -> Response:
        return tools.render(request, visitor, _import_page(place), place.nav)

    @pages.post(place.own)
    def take_import(request: Request, visitor: Here, posted: Sent) -> Response:
        try:
            content = _content(posted)
            done = place.do(visitor, content, posted.flag("check"))
        except CsvRefused as refusal:
            page = _import_page(place, {"file": Words("{what} {now}", what=refusal.detail, now=refusal.advice)})
            return tools.render(request, visitor, page, place.nav, status=422)
        except InputRefused as refusal:
            return tools.render(request, visitor, _import_page(place, refusal.fields), place.nav, status=422)
        return tools.render(request, visitor, _imported_page(place, done, content), place.nav)


def _import_page(place: ImportPlace, errors: Mapping[str, str] = NO_ERRORS) -> FormPage:
    return FormPage(
        title=place.title,
        action=place.own,
        intro=place.intro,
        fieldsets=(
            Fieldset(
                (
                    FormField(
                        "file",
                        Words("File"),
                        "file",
                        hint=Words("At most 5 MiB and 10,000 rows. Check it first to see what would happen."),
                        more={"accept": ".csv,text/csv"},
                        button=FieldButton("check", Words("Check only")),
                    ),
                )
            ),
        ),
        submit=Words("Import"),
        cancel_url=place.base,
        errors=errors,
        crumbs=(place.above,),
    )


def _content(posted: Posted) -> bytes:
    """The file that was chosen, or the one that was checked before. Raises InputRefused."""
    content = posted.files.get("file", b"") or _unpacked(posted.text(CHECKED))
    if not content:
        raise InputRefused({"file": Words("Choose a file.")})
    if len(content) > MOST_OCTETS:
        raise InputRefused({"file": Words("The file has more than 5 MiB. Split it.")})
    return content


def _packed(content: bytes) -> str:
    """The file for a hidden field; "" if it is too large to be carried there and back."""
    packed = base64.b64encode(zlib.compress(content)).decode()
    return packed if len(packed) <= MOST_CARRIED else ""


def _unpacked(carried: str) -> bytes:
    """The file that `_packed` made, no more than one octet too much of it. Raises InputRefused."""
    if not carried:
        return b""
    unpacking = zlib.decompressobj()
    try:
        content = unpacking.decompress(base64.b64decode(carried, validate=True), MOST_OCTETS + 1)
        if not unpacking.eof and len(content) <= MOST_OCTETS:
            raise ValueError("its end is missing")
        return content
    except (ValueError, zlib.error) as error:
        raise InputRefused(
            {"file": Words("The file that was checked did not arrive whole. Choose it again.")}
        ) from error


def _imported_page(place: ImportPlace, done: Imported, content: bytes) -> DetailPage:
    """What was done, or would be; then a button does it with the same file."""
    other = Action(Words("Choose another file") if done.dry_run else Words("Import another file"), place.own)
    actions = [other, Action(place.every, place.base)]
    useful, carried = done.created + done.changed, _packed(content) if done.dry_run else ""
    if useful and carried:
        actions.insert(0, Action(place.verb(useful), place.own, "primary", "post", ((CHECKED, carried),)))
    counts = tuple(
        Fact(label, text(number))
        for label, number in (
            (Words("Added"), done.created),
            (Words("Changed"), done.changed),
            (Words("As they are already"), done.unchanged),
            (Words("Left out"), done.refused),
        )
    )
    notices = [Notice(_outcome(place, done), "warn" if done.refused else "good")]
    if useful and done.dry_run and not carried:
        notices.append(
            Notice(Words("The file is too large to be kept meanwhile. Choose it again to import it."), "calm")
        )
    return DetailPage(
        title=Words("Check of the file") if done.dry_run else Words("Import of the file"),
        crumbs=(place.above, Crumb(place.title, place.own)),
        actions=tuple(actions),
        notices=tuple(notices),
        sections=(Section(Words("Rows"), facts=counts), *_mistakes(done)),
    )


def _outcome(place: ImportPlace, done: Imported) -> Words:
    """What happened to how many, and which lines were left out."""
    taken = place.things(done.created + done.changed)
    if done.dry_run:
        good = Words("Nothing was changed yet: {things} would be added or changed.", things=taken)
    else:
        good = Words("The file was imported: {things} added or changed.", things=taken)
    if not done.refused:
        return good
    lines = sorted({mistake.line for mistake in done.mistakes})
    told = ", ".join(map(str, lines[:MOST_NAMED]))
    if len(lines) > MOST_NAMED:
        told = Words("{lines} and {more} more", lines=told, more=len(lines) - MOST_NAMED)
    left = Words.plural(
        "Left out is line {lines}; why stands below.", "Left out are lines {lines}; why stands below.", done.refused,
        lines=told,
    )  # fmt: skip
    return Words("{what} {now}", what=good, now=left)


def _mistakes(done: Imported) -> tuple[Section, ...]:
    if not done.mistakes:
        return ()
    shown = done.mistakes[:SHOWN_MISTAKES]
    rows = tuple(Row("", (text(each.line), text(each.field or Words("the row")), text(each.reason))) for each in shown)
    columns = (
        Column("line", Words("Line"), narrow=True),
        Column("field", Words("Column"), narrow=True),
        Column("reason", Words("Reason")),
    )
    more = "" if len(shown) == len(done.mistakes) else Words("The first {number} of them.", number=SHOWN_MISTAKES)
    return (Section(Words("Lines that were left out, and why"), table=Table(columns, rows), intro=more),)
