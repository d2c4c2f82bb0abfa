"""Enter an account's access code."""

from __future__ import annotations

from dataclasses import dataclass

from keystead_contracts.words import Words
from keystead_enroll.domain.refusals import AccessCodeWrong, SessionExpired, TooManyAttempts
from keystead_enroll.ports import Clock, RateLimits, Secrets, Transactions
from keystead_enroll.usecases.visit import Visit, find_visit
from keystead_kit.secrets import same


@dataclass(frozen=True)
class CodeLimits:
    """How often a code may be tried: by one person, at one form, from one address."""

    person: str = "5/15 minutes"
    form: str = "100/15 minutes"
    address: str = "20/15 minutes"


def enter_access_code(
    transactions: Transactions,
    clock: Clock,
    limits: RateLimits,
    allowed: CodeLimits,
    secrets: Secrets,
    *,
    uri_extension: str,
    token: str | None,
    code: str,
    address: str,
) -> None:
    """Unlocks the chosen account for this visit. Raises AccessCodeWrong, TooManyAttempts.

    A try counts against the person before it is looked at, so that many at once are no way around the limit, and the
    right code gives every try at this account back. Against the form and the address count the wrong ones, so that a
    department behind one address is not locked out by its own right codes. An empty code is no try. No database
    transaction is open while the tries are counted.
    """
    with transactions.read() as tx:
        visit = find_visit(tx, clock, uri_extension, token)
    account = visit.account
    if account is None or account.access_code_digest is None:
        raise SessionExpired(Words("Choose first what you want to enroll for."))
    if not code.strip():
        raise AccessCodeWrong(
            Words("Enter your access code."), Words("If you do not have one, ask your administrator.")
        )
    own = _own_tries(visit)
    shared = ((allowed.form, ("form", visit.form.id)), (allowed.address, ("address", address)))
    _go_on(limits.hit(allowed.person, *own))
    for limit, key in shared:
        _go_on(limits.check(limit, "access-code", *key))
    if not same(secrets.access_code_digest(code.strip()), account.access_code_digest):
        for limit, key in shared:
            limits.hit(limit, "access-code", *key)
        raise AccessCodeWrong(Words("That is not the access code."))
    limits.forget(allowed.person, *own)
    with transactions.write() as tx:
        session = find_visit(tx, clock, uri_extension, token).session
        session.account_id = session.unlocked_account_id = account.id


def tries_left(limits: RateLimits, allowed: CodeLimits, visit: Visit) -> int:
    """How many wrong codes the visitor may still give for the chosen account before a pause."""
    return limits.left(allowed.person, *_own_tries(visit))


def _own_tries(visit: Visit) -> tuple[str, ...]:
    account = visit.account.id if visit.account else ""
    return ("access-code", "person", account, visit.session.email)


def _go_on(retry_after: int | None) -> None:
    if retry_after is not None:
        raise TooManyAttempts(Words("The access code was tried too often."), retry_after)
