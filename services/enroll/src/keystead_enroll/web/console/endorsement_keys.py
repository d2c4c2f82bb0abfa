"""Known TPMs in the console.

This module evaluates its annotations when pages are added, because they name what is at hand: no `from __future__
import annotations` here.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.endorsement_inputs import EndorsementKeyInput
from keystead_enroll.domain.endorsement_keys import EndorsementKey, Ruling
from keystead_enroll.domain.lists import ENDORSEMENT_KEYS
from keystead_enroll.domain.search import PageWanted, parse_search
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin import endorsement_keys as verbs
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.usecases.admin.csv_import import Imported
from keystead_enroll.usecases.admin.endorsement_key_import import import_endorsement_keys
from keystead_enroll.web.api.endorsement_keys import EXPORTED, exported
from keystead_enroll.web.console.cells import Cell, code, link, moment, tag, text
from keystead_enroll.web.console.choices import ALL, RULINGS, options
from keystead_enroll.web.console.csv_import import ImportPlace, add_import_pages
from keystead_enroll.web.console.form_widgets import ConfirmPage, Fieldset, FormField, FormPage, Option
from keystead_enroll.web.console.history import timeline_of
from keystead_enroll.web.console.lists import Listing
from keystead_enroll.web.console.mistakes import Wrong
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.resources import Place, Standing, add_pages, asked_once, change_page, new_page
from keystead_enroll.web.console.tools import ConsoleTools, Posted
from keystead_enroll.web.console.widgets import Action, Column, Crumb, DetailPage, Empty, Fact, ListPage, Row, Section
from keystead_enroll.web.csv_download import csv_of_list
from keystead_kit.drafts import Draft

NAV, BASE = "tpms", f"{HOME}/endorsement-keys"
TOP = Crumb(Words("Known TPMs"), BASE)
SHOWN_DIGITS = 16
_COLUMNS = (
    Column("label", Words("TPM")),
    Column("ruling", Words("Verdict"), narrow=True),
    Column("organization", Words("Organization")),
    Column("machine", Words("Machine")),
    Column("added", Words("Added"), narrow=True),
)


def router(tools: ConsoleTools) -> APIRouter:
    """The pages."""
    pages = APIRouter(include_in_schema=False)
    Here = Annotated[Visitor, Depends(tools.visitor)]

    @pages.get(f"{BASE}/export.csv")
    def export(visitor: Here, q: str = "") -> Response:
        wanted = PageWanted(parse_search(q, ENDORSEMENT_KEYS.fields, tools.clock.now()))
        return csv_of_list(tools.transactions, ENDORSEMENT_KEYS, visitor.actor, wanted, EXPORTED, exported)

    add_import_pages(pages, tools, _imports(tools))
    add_pages(
        pages,
        tools,
        Place(
            base=BASE,
            nav=NAV,
            kind=verbs.KIND,
            definition=ENDORSEMENT_KEYS,
            given=EndorsementKeyInput,
            values=_values,
            listing=_listing,
            detail=_detail,
            new=_new,
            change=_change,
            delete=_delete,
            create_verb=verbs.create_endorsement_key,
            change_verb=verbs.change_endorsement_key,
            delete_verb=verbs.delete_endorsement_key,
            sound={
                "sha256": "0" * 64,
                "ruling": Ruling.DENY,
                "label": "",
                "serial_number": "",
                "model": "",
                "note": "",
            },
        ),
    )
    return pages


def _imports(tools: ConsoleTools) -> ImportPlace:
    def do(visitor: Visitor, content: bytes, check: bool) -> Imported:
        return import_endorsement_keys(tools.transactions, tools.clock, visitor.actor, content, dry_run=check)

    return ImportPlace(
        base=BASE,
        nav=NAV,
        top=TOP.label,
        title=Words("Import known TPMs"),
        intro=Words(
            "A CSV file in UTF-8, with a first line that names its columns, in any order: sha256, organization, and if "
            "you like ruling (allow or deny), label, serial_number, model, note. Where organization is empty, the line "
            "goes for all of them. What is there already is changed, nothing is deleted. A column that is not in the "
            "file leaves things as they are."
        ),
        every=Words("All known TPMs"),
        verb=lambda n: Words.plural("Import {n} TPM", "Import {n} TPMs", n),
        things=lambda n: Words.plural("{n} TPM", "{n} TPMs", n),
        do=do,
    )


def _listing(_visitor: Visitor) -> Listing[EndorsementKey]:
    create = Action(Words("Add a TPM"), f"{BASE}/new", "primary", icon="add")
    return Listing(
        ENDORSEMENT_KEYS,
        ListPage(
            title=Words("Known TPMs"),
            intro=Words(
                "TPMs that are yours, and TPMs that are refused, each known by its endorsement key. A machine whose "
                "TPM is allowed here needs no certificate of its manufacturer to prove that."
            ),
            columns=_COLUMNS,
            rows=(),
            create=create,
            actions=(Action(Words("Import"), f"{BASE}/import"),),
            empty=Empty(
                Words("No known TPMs yet"),
                Words("Add those of your machines one by one, or import a CSV file of your supplier."),
                create,
            ),
        ),
        _row,
        BASE,
        exports=True,
    )


def _row(tx: Transaction, entry: EndorsementKey) -> Row:
    return Row(
        f"{BASE}/{entry.id}",
        (
            text(entry.label, _short(entry)) if entry.label else code(_short(entry)),
            _ruling(entry),
            _whose(tx, entry),
            text(entry.model or entry.serial_number, entry.serial_number if entry.model else ""),
            moment(entry.created_at),
        ),
    )


def _short(entry: EndorsementKey) -> str:
    return f"{entry.sha256[:SHOWN_DIGITS]}…"


def _ruling(entry: EndorsementKey) -> Cell:
    return tag("good" if entry.ruling is Ruling.ALLOW else "bad", RULINGS[entry.ruling])


def _whose(tx: Transaction, entry: EndorsementKey, *, linked: bool = False) -> Cell:
    if entry.organization_id is None:
        return text(Words("All organizations"))
    name = tx.organization(entry.organization_id).name
    return link(name, f"{HOME}/organizations/{entry.organization_id}") if linked else text(name)


def _detail(tx: Transaction, actor: Actor, entry: EndorsementKey, _request: Request) -> DetailPage:
    mine = verbs.may_manage(actor, entry.organization_id)
    return DetailPage(
        title=entry.label or _short(entry),
        subtitle=Words("Known TPM"),
        tag=_ruling(entry),
        crumbs=(TOP,),
        actions=(Action(Words("Change"), f"{BASE}/{entry.id}/change"),) if mine else (),
        sections=(
            Section(
                Words("What is known"),
                facts=(
                    Fact(Words("SHA-256 of the endorsement key"), code(entry.sha256)),
                    Fact(Words("Organization"), _whose(tx, entry, linked=True)),
                    Fact(Words("Model"), text(entry.model)),
                    Fact(Words("Serial number"), text(entry.serial_number)),
                    Fact(Words("Note"), text(entry.note)),
                    Fact(Words("Added"), moment(entry.created_at, "datetime", relative=True, note=entry.created_by)),
                ),
            ),
        ),
        timeline=timeline_of(tx, actor, entry.id),
    )


def _described() -> tuple[FormField, ...]:
    return (
        FormField(
            "ruling",
            Words("Verdict"),
            "radios",
            options=options(RULINGS),
            hint=Words("A TPM that is refused is refused whoever vouches for it."),
        ),
        FormField("label", Words("Label"), required=False, more={"maxlength": 128}),
        FormField("model", Words("Model"), required=False, more={"maxlength": 128}),
        FormField("serial_number", Words("Serial number"), required=False, more={"maxlength": 128}),
        FormField("note", Words("Note"), "textarea", required=False, more={"maxlength": 1000}),
    )


def _new(tx: Transaction, actor: Actor, draft: Draft, _request: Request) -> FormPage:
    everyone = (Option(ALL, Words("All organizations")),) if verbs.may_manage(actor, None) else ()
    offered = [each for each in tx.organizations() if verbs.may_manage(actor, each.id)]
    asked = (
        FormField(
            "sha256",
            Words("SHA-256 of the endorsement key"),
            code=True,
            hint=Words(
                "Of its SubjectPublicKeyInfo: 64 hexadecimal digits, with or without colons, or urn:ek:sha256: and "
                "base64."
            ),
            more={"maxlength": 256, "autocomplete": "off", "spellcheck": "false"},
        ),
        FormField(
            "organization_id",
            Words("Organization"),
            "select",
            options=(*(Option(each.id, each.name) for each in offered), *everyone),
        ),
    )
    values = draft.values or {"ruling": Ruling.ALLOW.value}
    questions = (Fieldset((*asked, *_described())),)
    return new_page(Words("Add a TPM"), BASE, questions, Words("Add the TPM"), values, draft, (TOP,))


def _change(tx: Transaction, _actor: Actor, entry: EndorsementKey, draft: Draft) -> FormPage:
    facts = (
        Fact(Words("SHA-256 of the endorsement key"), code(entry.sha256)),
        Fact(Words("Organization"), _whose(tx, entry)),
    )
    stored = {name: getattr(entry, name) for name in ("label", "model", "serial_number", "note")}
    return change_page(
        _standing(entry),
        Words("Change what is known"),
        (Fieldset(_described(), facts=facts),),
        draft.values or stored | {"ruling": entry.ruling.value},
        draft,
        delete=Words("Delete this entry"),
    )


def _delete(_tx: Transaction, _actor: Actor, entry: EndorsementKey) -> ConfirmPage:
    effects = (
        (
            Words("Machines with this TPM then need a certificate of its manufacturer where a proof is demanded."),
            Words("Certificates that they have stay valid."),
        )
        if entry.ruling is Ruling.ALLOW
        else (Words("Machines with this TPM are no longer refused."),)
    )
    question = Words("Delete the entry “{name}”?", name=entry.label or _short(entry))
    return asked_once(_standing(entry), Words("Delete this entry"), *effects, question=question)


def _standing(entry: EndorsementKey) -> Standing:
    return Standing(f"{BASE}/{entry.id}", entry.label or _short(entry), (TOP,))


def _values(posted: Posted, entry: EndorsementKey | None) -> dict[str, object]:
    described = {name: posted.text(name) for name in ("ruling", "label", "model", "serial_number", "note")}
    if entry is not None:
        return {"organization_id": entry.organization_id, "sha256": entry.sha256, **described}
    chosen = posted.text("organization_id") or Wrong({"organization_id": Words("Choose an organization.")})
    whose = None if chosen == ALL else chosen
    return {"organization_id": whose, "sha256": posted.text("sha256"), **described}
