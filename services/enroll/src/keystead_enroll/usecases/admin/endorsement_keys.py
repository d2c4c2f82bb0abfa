"""Endorsement keys that are known: which TPMs are an organization's, and which are refused.

An administrator of the whole organization says it for the organization, a master for all of them.
"""

from __future__ import annotations

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused, NotAllowed
from keystead_enroll.domain.endorsement_inputs import EndorsementKeyInput
from keystead_enroll.domain.endorsement_keys import EndorsementKey
from keystead_enroll.domain.lists import ENDORSEMENT_KEYS, ORGANIZATIONS
from keystead_enroll.ports import Clock, Transactions
from keystead_enroll.usecases.admin.common import Once, Target, note, put, reach
from keystead_kit.secrets import new_id

KIND = Words("known TPM")
KNOWN = Words("There is an entry for this TPM already. Change that one.")
STAYS = Words("An entry stays what it is about. Delete it and add another.")
MASTERS_SAY = Words("Only a master administrator may say this for all organizations: choose one.")


def may_manage(actor: Actor, organization_id: str | None) -> bool:
    """Whether entries of this organization, or with None of all, are the actor's."""
    scope = actor.scope
    return scope.everything if organization_id is None else scope.rules_organization(organization_id)


def create_endorsement_key(
    transactions: Transactions, clock: Clock, actor: Actor, wanted: EndorsementKeyInput, once: Once | None = None
) -> str:
    """Stores an entry and answers its id. Raises ThingUnknown, NotAllowed, InputRefused."""
    now = clock.now()
    fresh = new_entry(actor, wanted)
    fresh.created_at = now
    with transactions.write() as tx:
        if wanted.organization_id is not None:
            reach(tx, ORGANIZATIONS, actor, wanted.organization_id, Words("organization"))
        _check(actor, wanted.organization_id)
        earlier = tx.earlier(actor.id, once.key, once.request_digest, fresh.id, now) if once else None
        if earlier:
            return earlier
        if not tx.add_first(fresh):
            raise InputRefused({"sha256": KNOWN})
        note(tx, actor, now, "endorsement_key.create", target(fresh), wanted.model_dump())
    return fresh.id


def change_endorsement_key(
    transactions: Transactions, clock: Clock, actor: Actor, entry_id: str, wanted: EndorsementKeyInput
) -> None:
    """Makes the entry as `wanted`; whose it is and which TPM stays. Raises ThingUnknown, InputRefused."""
    with transactions.write() as tx:
        entry = reach(tx, ENDORSEMENT_KEYS, actor, entry_id, KIND)
        _check(actor, entry.organization_id)
        kept = {name: STAYS for name in ("organization_id", "sha256") if getattr(wanted, name) != getattr(entry, name)}
        if kept:
            raise InputRefused(kept)
        changed = put(entry, wanted.model_dump())
        if changed:
            note(tx, actor, clock.now(), "endorsement_key.change", target(entry), changed)


def delete_endorsement_key(transactions: Transactions, clock: Clock, actor: Actor, entry_id: str) -> None:
    """Deletes an entry: nothing is said of the TPM any more. Raises ThingUnknown, NotAllowed."""
    with transactions.write() as tx:
        entry = reach(tx, ENDORSEMENT_KEYS, actor, entry_id, KIND)
        _check(actor, entry.organization_id)
        tx.remove(entry)
        note(
            tx, actor, clock.now(), "endorsement_key.delete", target(entry),
            {"sha256": entry.sha256, "ruling": entry.ruling},
        )  # fmt: skip


def new_entry(actor: Actor, wanted: EndorsementKeyInput) -> EndorsementKey:
    """An entry as it is wanted, added by the actor."""
    return EndorsementKey(new_id(), **wanted.model_dump(), created_by=actor.name[:256])


def target(entry: EndorsementKey) -> Target:
    """The entry in the audit log."""
    return Target(entry.id, entry.label or entry.sha256, entry.organization_id)


def _check(actor: Actor, organization_id: str | None) -> None:
    if not may_manage(actor, organization_id):
        raise NotAllowed(
            MASTERS_SAY
            if organization_id is None
            else Words("Only an administrator of the whole organization may say which TPMs are its own.")
        )
