"""Web form accounts in the console. They are parts of a form, and stand on its Accounts page."""

from __future__ import annotations

from fastapi import APIRouter, Request

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.enrollment import WebFormAccount
from keystead_enroll.domain.enrollment_inputs import AccountInput
from keystead_enroll.domain.lists import ACCOUNTS
from keystead_enroll.domain.refusals import AccessCodeInUse, AccessCodesTriedTooOften
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.usecases.admin import accounts as verbs
from keystead_enroll.web.console.account_questions import (
    BASE,
    BESIDE,
    FORM_BASE,
    SOUND,
    account_values,
    change_account,
    crumbs_of,
    delete_account,
    new_account,
)
from keystead_enroll.web.console.cells import moment, several, text
from keystead_enroll.web.console.choices import AUTHORIZATIONS, CSR_METHODS, rule_words, state_of
from keystead_enroll.web.console.history import timeline_of
from keystead_enroll.web.console.mistakes import Rehearsal
from keystead_enroll.web.console.resources import Place, add_pages
from keystead_enroll.web.console.tools import ConsoleTools
from keystead_enroll.web.console.widgets import Action, Column, DetailPage, Fact, Row, Section
from keystead_kit.secrets import new_id

NAV = "forms"


def router(tools: ConsoleTools) -> APIRouter:
    """The pages."""
    pages = APIRouter(include_in_schema=False)
    codes = tools.enroll.access_codes

    def create(transactions: Transactions, clock: Clock, actor: Actor, wanted: AccountInput) -> str:
        try:
            return verbs.create_account(transactions, clock, codes, actor, _given(transactions, wanted))
        except (AccessCodeInUse, AccessCodesTriedTooOften) as refusal:
            raise InputRefused(refusal.fields) from refusal

    def change(transactions: Transactions, clock: Clock, actor: Actor, account_id: str, wanted: AccountInput) -> None:
        try:
            verbs.change_account(transactions, clock, codes, actor, account_id, _given(transactions, wanted))
        except (AccessCodeInUse, AccessCodesTriedTooOften) as refusal:
            raise InputRefused(refusal.fields) from refusal

    add_pages(
        pages,
        tools,
        Place(
            base=BASE,
            nav=NAV,
            kind=Words("account"),
            definition=ACCOUNTS,
            given=AccountInput,
            values=account_values,
            detail=_detail,
            new=new_account,
            change=change_account,
            delete=delete_account,
            create_verb=create,
            change_verb=change,
            delete_verb=verbs.delete_account,
            home=lambda account: f"{FORM_BASE}/{account.form_id}/accounts",
            sound=SOUND,
            beside=BESIDE,
        ),
    )
    return pages


def _given(transactions: Transactions, wanted: AccountInput) -> AccountInput:
    """`wanted`; in a rehearsal with an access code that nobody has. Whether one is in use is told once nothing else is
    wrong: then a code that is free is taken, and one that is not is in the audit log. Else nobody would see who looks
    for codes."""
    if wanted.access_code is None or not isinstance(transactions, Rehearsal):
        return wanted
    return wanted.model_copy(update={"access_code": new_id()})


def account_columns() -> tuple[Column, ...]:
    """The columns of a form's accounts."""
    return (
        Column("name", Words("Name")),
        Column("place", Words("Organization")),
        Column("profiles", Words("Certificate profiles")),
        Column("authorization", Words("Authorization"), narrow=True),
        Column("approval", Words("Approval"), narrow=True),
        Column("state", Words("State"), narrow=True),
    )


def account_row(tx: Transaction, account: WebFormAccount) -> Row:
    """An account among those of its form."""
    return Row(
        f"{BASE}/{account.id}",
        (
            text(account.name),
            text(tx.organization(account.organization_id).name, _department(tx, account)),
            several(_profiles(tx, account)),
            text(AUTHORIZATIONS[account.authorization]),
            text(_approval(account)),
            state_of(account.active),
        ),
    )


def _department(tx: Transaction, account: WebFormAccount) -> str:
    return tx.department(account.department_id).name if account.department_id else ""


def _profiles(tx: Transaction, account: WebFormAccount) -> list[str]:
    found = (tx.profile(profile_id) for profile_id in account.profile_ids)
    return [profile.name for profile in found if profile is not None]


def _approval(account: WebFormAccount) -> str:
    return Words("Automatic") if account.automatic_approval else Words("By an administrator")


def _detail(tx: Transaction, actor: Actor, account: WebFormAccount, _request: Request) -> DetailPage:
    form, own = tx.form(account.form_id), f"{BASE}/{account.id}"
    set_or_not = Words("Set; it cannot be read back") if account.has_access_code else ""
    return DetailPage(
        title=account.name,
        tag=state_of(account.active),
        crumbs=crumbs_of(form),
        actions=(Action(Words("Change"), f"{own}/change"),),
        sections=(
            Section(
                Words("Account"),
                facts=(
                    Fact(Words("Organization"), text(tx.organization(account.organization_id).name)),
                    Fact(Words("Department"), text(_department(tx, account))),
                    Fact(Words("Certificate profiles"), several(_profiles(tx, account))),
                    Fact(Words("CSR generation method"), text(CSR_METHODS[account.csr_method])),
                    Fact(Words("Approval"), text(_approval(account))),
                    Fact(Words("Created"), moment(account.created_at)),
                ),
            ),
            Section(
                Words("Authorization"),
                facts=(
                    Fact(Words("Asks for"), text(AUTHORIZATIONS[account.authorization])),
                    Fact(Words("Access code"), text(set_or_not)),
                    Fact(Words("Rules"), several([text(rule_words(rule)) for rule in account.idp_rules])),
                ),
            ),
        ),
        timeline=timeline_of(tx, actor, account.id),
    )
