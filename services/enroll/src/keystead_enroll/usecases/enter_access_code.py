"""Enter an account's access code."""

from __future__ import annotations

from dataclasses import dataclass

from keystead_enroll.domain.refusals import AccessCodeWrong, SessionExpired, TooManyAttempts
from keystead_enroll.ports import Clock, RateLimits, Secrets, Transactions
from keystead_enroll.usecases.visit import find_visit
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
    """Unlocks the chosen account for this visit. Raises AccessCodeWrong, TooManyAttempts."""
    with transactions.write() as tx:
        visit = find_visit(tx, clock, uri_extension, token)
        account = visit.account
        if account is None or account.access_code_digest is None:
            raise SessionExpired("Choose first what you want to enroll for.")
        for limit, key in (
            (allowed.person, ("person", visit.form.id, visit.session.email)),
            (allowed.form, ("form", visit.form.id)),
            (allowed.address, ("address", address)),
        ):
            retry_after = limits.hit(limit, "access-code", *key)
            if retry_after is not None:
                raise TooManyAttempts("The access code was tried too often.", retry_after)
        if not same(secrets.access_code_digest(code.strip()), account.access_code_digest):
            raise AccessCodeWrong("That is not the access code.")
        visit.session.account_id = visit.session.unlocked_account_id = account.id
