"""Access codes that administrators choose. Each stands for one account of all organizations, so a refusal tells that a
code is in use; how often somebody may learn that is bounded, and each time is in the audit log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.enrollment import EnrollmentForm
from keystead_enroll.domain.enrollment_inputs import AccountInput
from keystead_enroll.domain.refusals import AccessCodeInUse, AccessCodesTriedTooOften
from keystead_enroll.ports import RateLimits, Secrets, Transaction, Transactions
from keystead_enroll.usecases.admin.common import Target, administrator_of, note

T = TypeVar("T")
_KEY = "access-code-in-use"


@dataclass(frozen=True)
class AccessCodes:
    """What giving an account its code needs: digests, and how often a code may turn out to be in use."""

    secrets: Secrets
    limits: RateLimits
    most_in_use: str = "5/hour"


def choose_code(
    transactions: Transactions,
    codes: AccessCodes,
    actor: Actor,
    now: datetime,
    wanted: AccountInput,
    work: Callable[[Transaction], T],
) -> T:
    """What `work` answers, in a transaction of its own.

    Codes in use count against the administrator, whichever token they come with. They are counted one at a time: the
    administrator is locked while one is looked at, so that many at once are no way around the limit. Raises
    AccessCodeInUse; AccessCodesTriedTooOften, whether or not this one is in use.
    """
    if not wanted.access_code:
        with transactions.write() as tx:
            return work(tx)
    with transactions.write() as tx:
        asker = administrator_of(tx, actor)
        tx.lock_administrator(asker)
        retry_after = codes.limits.check(codes.most_in_use, _KEY, asker)
        if retry_after is not None:
            raise AccessCodesTriedTooOften(retry_after)
        try:
            with tx.savepoint():
                return work(tx)
        except AccessCodeInUse as refusal:
            refused = refusal
            codes.limits.hit(codes.most_in_use, _KEY, asker)
            note(tx, actor, now, "account.code-in-use", _target(tx, wanted))
    raise refused


def _target(tx: Transaction, wanted: AccountInput) -> Target:
    """The account that was to have the code, in its form: never the one that has it."""
    form = tx.get(EnrollmentForm, wanted.form_id)
    kind = form.certificate_type if form else None
    name = f"{form.name if form else ''}, {wanted.name}"
    return Target(wanted.form_id, name, wanted.organization_id, wanted.department_id, kind)
