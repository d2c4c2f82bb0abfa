"""What keeps people out of an enrollment form, said on its pages with what mends it."""

from __future__ import annotations

from collections.abc import Sequence

from keystead_contracts.identity import SignInMethod
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.enrollment import EnrollmentForm, WebFormAccount
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin.try_form import providers_of
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.widgets import Action, Notice


def notices_of(
    tx: Transaction, actor: Actor, form: EnrollmentForm, accounts: Sequence[WebFormAccount]
) -> tuple[Notice, ...]:
    """What keeps people out; `accounts` are those that the actor sees."""
    if not form.active:
        return (Notice(Words("Its address leads nowhere while it is withdrawn."), "warn"),)
    kept_out = []
    if form.methods == [SignInMethod.IDP] and not providers_of(tx, form):
        kept_out.append(_nobody_vouches(actor))
    if not accounts and not tx.accounts(form.id):
        add = Action(Words("Add an account"), f"{HOME}/accounts/new?form={form.id}")
        kept_out.append(Notice(Words("Nobody can use it yet: add an account."), "warn", action=add))
    return tuple(kept_out)


def _nobody_vouches(actor: Actor) -> Notice:
    told = Words("Nobody can sign in until an identity provider for its organizations is set up and active.")
    if actor.scope.everything:
        return Notice(told, "bad", action=Action(Words("Identity providers"), f"{HOME}/identity-providers"))
    who = Words("A master administrator sets it up, under Identity providers.")
    return Notice(Words("{what} {now}", what=told, now=who), "bad")
