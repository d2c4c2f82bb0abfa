"""The licence terms that persons accept: one version after the other, never changed. Masters alone."""

from __future__ import annotations

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused, StillInUse
from keystead_enroll.domain.enrollment import LicenceTerms
from keystead_enroll.domain.enrollment_inputs import LicenceInput
from keystead_enroll.ports import Clock, Transactions
from keystead_enroll.usecases.admin.common import Once, Target, masters_only, note

VERSION_TAKEN = Words("There is this version already, and what persons accepted does not change. Give it a new one.")


def list_licences(transactions: Transactions, actor: Actor) -> list[LicenceTerms]:
    """Every version, newest first. Raises NotAllowed."""
    masters_only(actor, Words("see all licence terms"))
    with transactions.read() as tx:
        return list(tx.licences())


def publish_licence(
    transactions: Transactions, clock: Clock, actor: Actor, wanted: LicenceInput, once: Once | None = None
) -> str:
    """Makes this the version that persons accept from now on; answers it. Raises NotAllowed, InputRefused, and
    StillInUse if another one became that at the same moment."""
    masters_only(actor, Words("publish licence terms"))
    now = clock.now()
    with transactions.write() as tx:
        earlier = tx.earlier(actor.id, once.key, once.request_digest, wanted.version, now) if once else None
        if earlier:
            return earlier
        if tx.licence_version(wanted.version) is not None:
            raise InputRefused({"version": VERSION_TAKEN})
        before = tx.licence()
        if before is not None:
            before.current = False
        tx.flush()
        if not tx.add_first(LicenceTerms(wanted.version, wanted.text, published_at=now)):
            if tx.licence_version(wanted.version) is not None:
                raise InputRefused({"version": VERSION_TAKEN})
            raise StillInUse(
                Words("Another version was published at this moment."),
                Words("Look at it, and publish yours if it should still take its place."),
            )
        note(tx, actor, now, "licence.publish", Target(wanted.version, wanted.version))
    return wanted.version
