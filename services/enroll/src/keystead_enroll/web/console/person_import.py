"""Persons from a file in the console: checked first, then imported without choosing the file again.

This module evaluates its annotations when pages are added, because they name what is at hand: no `from __future__
import annotations` here.
"""

import base64
import zlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from keystead_contracts.words import Words
from keystead_enroll.csv_text import CsvRefused
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.usecases.admin.person_import import MOST_OCTETS, Imported, import_persons
from keystead_enroll.web.console.cells import text
from keystead_enroll.web.console.form_widgets import FieldButton, Fieldset, FormField, FormPage
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.tools import ConsoleTools, Posted
from keystead_enroll.web.console.widgets import Action, Column, Crumb, DetailPage, Fact, Notice, Row, Section, Table

NAV, BASE = "persons", f"{HOME}/persons"
TOP = Crumb(Words("Persons"), BASE)
CHECKED = "checked_file"
"""The field that carries a file which was checked, compressed."""
MOST_CARRIED = 2 * 1024 * 1024
SHOWN_MISTAKES = 200
MOST_NAMED = 5
NO_ERRORS: Mapping[str, str] = MappingProxyType({})


def add_import_pages(pages: APIRouter, tools: ConsoleTools) -> None:
    """The pages; they come before those about one person."""
    Here = Annotated[Visitor, Depends(tools.visitor)]
    Sent = Annotated[Posted, Depends(tools.posted)]

    @pages.get(f"{BASE}/import")
    def show_import(request: Request, visitor: Here) -> Response:
        return tools.render(request, visitor, _import_page(), NAV)

    @pages.post(f"{BASE}/import")
    def take_import(request: Request, visitor: Here, posted: Sent) -> Response:
        try:
            content = _content(posted)
            done = import_persons(
                tools.transactions,
                tools.clock,
                visitor.actor,
                content,
                passwords=tools.enroll.passwords,
                dry_run=posted.flag("check"),
            )
        except CsvRefused as refusal:
            page = _import_page({"file": Words("{what} {now}", what=refusal.detail, now=refusal.advice)})
            return tools.render(request, visitor, page, NAV, status=422)
        except InputRefused as refusal:
            return tools.render(request, visitor, _import_page(refusal.fields), NAV, status=422)
        return tools.render(request, visitor, _imported_page(done, content), NAV)


def _import_page(errors: Mapping[str, str] = NO_ERRORS) -> FormPage:
    return FormPage(
        title=Words("Import persons"),
        action=f"{BASE}/import",
        intro=(
            Words(
                "A CSV file in UTF-8, with a first line that names its columns, in any order: email, name, "
                "organization, and if you like department, upn, secret_id. Who is there already is changed, nobody is "
                "deleted. A column that is not in the file, and an empty Secret ID, leave things as they are."
            )
        ),
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
        cancel_url=BASE,
        errors=errors,
        crumbs=(TOP,),
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


def _imported_page(done: Imported, content: bytes) -> DetailPage:
    """What was done, or would be; then a button does it with the same file."""
    own = f"{BASE}/import"
    other = Action(Words("Choose another file") if done.dry_run else Words("Import another file"), own)
    actions = [other, Action(Words("All persons"), BASE)]
    useful, carried = done.created + done.changed, _packed(content) if done.dry_run else ""
    if useful and carried:
        verb = Words.plural("Import {n} person", "Import {n} persons", useful)
        actions.insert(0, Action(verb, own, "primary", "post", ((CHECKED, carried),)))
    counts = tuple(
        Fact(label, text(number))
        for label, number in (
            (Words("Added"), done.created),
            (Words("Changed"), done.changed),
            (Words("As they are already"), done.unchanged),
            (Words("Left out"), done.refused),
        )
    )
    notices = [Notice(_outcome(done), "warn" if done.refused else "good")]
    if useful and done.dry_run and not carried:
        notices.append(
            Notice(Words("The file is too large to be kept meanwhile. Choose it again to import it."), "calm")
        )
    return DetailPage(
        title=Words("Check of the file") if done.dry_run else Words("Import of the file"),
        crumbs=(TOP, Crumb(Words("Import persons"), own)),
        actions=tuple(actions),
        notices=tuple(notices),
        sections=(Section(Words("Rows"), facts=counts), *_mistakes(done)),
    )


def _outcome(done: Imported) -> Words:
    """What happened to how many, and which lines were left out."""
    taken = Words.plural("{n} person", "{n} persons", done.created + done.changed)
    if done.dry_run:
        good = Words("Nothing was changed yet: {persons} would be added or changed.", persons=taken)
    else:
        good = Words("The file was imported: {persons} added or changed.", persons=taken)
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
