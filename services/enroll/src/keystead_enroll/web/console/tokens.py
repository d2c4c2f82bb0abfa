"""API tokens in the console.

This module evaluates its annotations when pages are added, because they name what is at hand: no `from __future__
import annotations` here.
"""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor, Administrator, ApiToken, Grant
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.inputs import TokenInput
from keystead_enroll.domain.lists import ADMINISTRATORS, API_TOKENS
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin import tokens as verbs
from keystead_enroll.usecases.admin.administrators import shown_grants
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.web.console.cells import link, moment, text
from keystead_enroll.web.console.form_widgets import ConfirmPage, Fieldset, FormField, FormPage
from keystead_enroll.web.console.history import timeline_of
from keystead_enroll.web.console.lists import Listing, list_page
from keystead_enroll.web.console.mistakes import Rehearsal, done_or_told
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.once import PAGE_KEY, once_of, page_key, shown_once
from keystead_enroll.web.console.places import (
    AT_ROLES,
    given_roles,
    role_cell,
    role_count,
    role_fields,
    role_values,
    typed_roles,
)
from keystead_enroll.web.console.token_rows import TOKEN_COLUMNS, TOKENS, token_row, token_state
from keystead_enroll.web.console.tools import ConsoleTools, Posted
from keystead_enroll.web.console.widgets import (
    Action,
    Crumb,
    DetailPage,
    Empty,
    Fact,
    ListPage,
    Section,
    Tab,
)
from keystead_kit.drafts import Draft

NAV = "tokens"
TOP = Crumb(Words("API tokens"), TOKENS)
_INTRO = Words("Programs show one instead of signing in. A token never may more than its owner may at that moment.")
_NEW = Action(Words("New token"), f"{TOKENS}/new", "primary", icon="add")


def router(tools: ConsoleTools) -> APIRouter:
    """The pages."""
    pages = APIRouter(include_in_schema=False)
    Here = Annotated[Visitor, Depends(tools.visitor)]
    Sent = Annotated[Posted, Depends(tools.posted)]

    @pages.get(TOKENS)
    def list_own(request: Request, visitor: Here) -> Response:
        with tools.transactions.read() as tx:
            rows = tuple(token_row(tx, token) for token in tx.tokens_of(visitor.actor.id))
        page = ListPage(
            title=Words("API tokens"),
            intro=_INTRO,
            columns=TOKEN_COLUMNS,
            rows=rows,
            create=_NEW,
            tabs=_tabs(own=True),
            empty=Empty(Words("You have no tokens"), Words("Make one for each program that is to work for you."), _NEW),
        )
        return tools.render(request, visitor, page, NAV)

    @pages.get(f"{TOKENS}/all")
    def list_all(request: Request, visitor: Here) -> Response:
        listing = Listing(
            API_TOKENS,
            ListPage(
                title=Words("API tokens"),
                intro=_INTRO,
                columns=TOKEN_COLUMNS,
                rows=(),
                create=_NEW,
                tabs=_tabs(own=False),
                empty=Empty(Words("No tokens"), Words("Nobody whom you manage has one.")),
            ),
            token_row,
            f"{TOKENS}/all",
        )
        return tools.render(request, visitor, list_page(tools, request, visitor, listing), NAV)

    def new_page(request: Request, visitor: Visitor, draft: Draft) -> Response:
        with tools.transactions.read() as tx:
            page = _new(tx, visitor.actor, draft)
        return tools.render(request, visitor, page, NAV)

    @pages.get(f"{TOKENS}/new")
    def show_new(request: Request, visitor: Here) -> Response:
        return new_page(request, visitor, tools.draft(request))

    @pages.post(f"{TOKENS}/new")
    def create(request: Request, visitor: Here, posted: Sent) -> Response:
        try:
            values = {
                "name": posted.text("name"),
                "days": posted.text("days"),
                "grants": given_roles(posted, needed=False),
            }
            once = once_of(request, posted)
            made = done_or_told(
                TokenInput,
                values,
                lambda wanted: verbs.create_token(tools.transactions, tools.clock, visitor.actor, wanted, once),
                lambda wanted: verbs.create_token(Rehearsal(tools.transactions), tools.clock, visitor.actor, wanted),
                sound={"name": "-", "days": 1},
                beside=AT_ROLES,
            )
        except InputRefused as refusal:
            return tools.again(request, posted, refusal, lambda draft: new_page(request, visitor, draft))
        advice = Words("Keep it like a password. A program sends it as `Authorization: Bearer ksa_…`.")
        page = shown_once(
            Words("The token “{name}”", name=posted.text("name").strip()),
            made.secret,
            Words("API token"),
            advice,
            TOKENS,
            (TOP,),
        )
        response = tools.render(request, visitor, page, NAV)
        tools.context.drafts.forget(request, response)
        return response

    @pages.get(f"{TOKENS}/{{id}}")
    def show(request: Request, visitor: Here, id: str) -> Response:
        with tools.transactions.read() as tx:
            page = _detail(tools, tx, visitor.actor, verbs.reach_token(tx, visitor.actor, id))
        return tools.render(request, visitor, page, NAV)

    @pages.get(f"{TOKENS}/{{id}}/revoke")
    def show_revoke(request: Request, visitor: Here, id: str) -> Response:
        with tools.transactions.read() as tx:
            token = verbs.reach_token(tx, visitor.actor, id)
        own = f"{TOKENS}/{token.id}"
        page = ConfirmPage(
            title=Words("Revoke this token"),
            verb=Words("Revoke this token"),
            action=f"{own}/revoke",
            cancel_url=own,
            question=Words("Revoke “{name}”?", name=token.name),
            consequences=(Words("Programs that use it are refused at once."), Words("This cannot be undone.")),
            crumbs=(TOP, Crumb(token.name, own)),
        )
        return tools.render(request, visitor, page, NAV)

    @pages.post(f"{TOKENS}/{{id}}/revoke")
    def revoke(request: Request, visitor: Here, _posted: Sent, id: str) -> Response:
        verbs.revoke_token(tools.transactions, tools.clock, visitor.actor, id)
        return tools.done(request, f"{TOKENS}/{id}", "ended")

    return pages


def _tabs(*, own: bool) -> tuple[Tab, ...]:
    return (Tab(Words("Yours"), TOKENS, own), Tab(Words("All that you manage"), f"{TOKENS}/all", not own))


def _detail(tools: ConsoleTools, tx: Transaction, actor: Actor, token: ApiToken) -> DetailPage:
    own = f"{TOKENS}/{token.id}"
    owner = tx.get(Administrator, token.administrator_id)
    revoke = Action(Words("Revoke"), f"{own}/revoke", "danger")
    known = tx.in_reach(ADMINISTRATORS, actor.scope, token.administrator_id)
    whose = link(known.name, f"{HOME}/administrators/{known.id}") if known else text(owner.name if owner else "")
    return DetailPage(
        title=token.name,
        tag=token_state(token, owner, tools.clock.now()),
        crumbs=(TOP,),
        actions=() if token.revoked_at else (revoke,),
        sections=(
            Section(
                Words("The token"),
                facts=(
                    Fact(Words("Whose"), whose),
                    Fact(Words("It may"), role_cell(tx, shown_grants(actor.scope, token.grants))),
                    Fact(Words("Made"), moment(token.created_at, "datetime")),
                    Fact(Words("Last used"), moment(token.last_used_at, "datetime", relative=True)),
                    Fact(Words("Ends"), moment(token.expires_at, "datetime", relative=True)),
                    Fact(Words("Revoked"), moment(token.revoked_at, "datetime")),
                ),
            ),
        ),
        timeline=timeline_of(tx, actor, token.id),
    )


def _new(tx: Transaction, actor: Actor, draft: Draft) -> FormPage:
    none: Sequence[Grant] = ()
    count = role_count(draft.values, none)
    values = typed_roles(draft.values, count) if draft.values else {"days": "90", **role_values(none, count)}
    values |= {"roles": str(count), PAGE_KEY.name: page_key(draft)}
    hint = Words("Without a choice it may do all that you may.")
    return FormPage(
        title=Words("New token"),
        action=f"{TOKENS}/new",
        fieldsets=(
            Fieldset(
                (
                    FormField(
                        "name",
                        Words("Name"),
                        hint=Words("What it is for."),
                        more={"maxlength": 128, "autocomplete": "off"},
                    ),
                    FormField(
                        "days",
                        Words("Works for how many days"),
                        "number",
                        short=True,
                        hint=Words("1 to 366."),
                        more={"min": 1, "max": 366},
                    ),
                    FormField("roles", "", "hidden"),
                    PAGE_KEY,
                )
            ),
            *role_fields(tx, actor, count, needed=False, first_hint=hint),
        ),
        submit=Words("Make the token"),
        cancel_url=TOKENS,
        values=values,
        errors=draft.errors,
        crumbs=(TOP,),
    )
