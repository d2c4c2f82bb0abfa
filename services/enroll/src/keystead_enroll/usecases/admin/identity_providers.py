"""Identity providers, which masters alone set up: create, change, delete, and what auth says of them."""

from __future__ import annotations

from collections.abc import Collection

from keystead_contracts.people import IdentityProviderChecked, IdentityProviderPublished
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.enrollment import Organization
from keystead_enroll.domain.identity_providers import IdentityProvider
from keystead_enroll.domain.lists import IDENTITY_PROVIDERS
from keystead_enroll.domain.people_inputs import IdentityProviderInput
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.usecases.admin.common import Once, Target, masters_only, note, put, reach
from keystead_kit.secrets import new_id

KIND = Words("identity provider")
NAME_TAKEN = Words("Another identity provider has this name already. Choose another name.")
DESCRIBED = (
    "metadata_url", "metadata_xml", "metadata_certificate", "issuer", "client_id", "client_secret_name", "kind"
)  # fmt: skip
"""What auth's judgement is about: when one changes, it no longer holds."""
MOST_SPOKEN_FOR = 40
"""Organizations of one identity provider: their ids come with everybody who signs in, in a cookie of 4 KiB. One that
was stored with more keeps them."""
TOO_MANY = Words("An identity provider speaks for {most} organizations at most, or for all.", most=MOST_SPOKEN_FOR)


def create_identity_provider(
    transactions: Transactions,
    clock: Clock,
    actor: Actor,
    wanted: IdentityProviderInput,
    once: Once | None = None,
    *,
    provider_id: str = "",
) -> str:
    """Stores an identity provider and answers its id: `provider_id`, where that was told to somebody before. Raises
    NotAllowed, InputRefused."""
    masters_only(actor, Words("set up identity providers"))
    now = clock.now()
    fresh = IdentityProvider(provider_id or new_id(), **wanted.model_dump(), created_at=now)
    with transactions.write() as tx:
        earlier = tx.earlier(actor.id, once.key, once.request_digest, fresh.id, now) if once else None
        if earlier:
            return earlier
        _check_organizations(tx, wanted.organization_ids, ())
        if not tx.add_first(fresh):
            raise InputRefused({"name": NAME_TAKEN})
        note(tx, actor, now, "identity_provider.create", _target(fresh), wanted.model_dump())
        publish(tx, fresh)
    return fresh.id


def change_identity_provider(
    transactions: Transactions, clock: Clock, actor: Actor, provider_id: str, wanted: IdentityProviderInput
) -> None:
    """Makes the identity provider as `wanted`; one that is not active is withdrawn.

    Raises ThingUnknown, InputRefused.
    """
    with transactions.write() as tx:
        provider = reach(tx, IDENTITY_PROVIDERS, actor, provider_id, KIND)
        masters_only(actor, Words("change identity providers"))
        _check_organizations(tx, wanted.organization_ids, provider.organization_ids)
        if tx.named(IdentityProvider, wanted.name, but=provider.id):
            raise InputRefused({"name": NAME_TAKEN})
        changed = put(provider, wanted.model_dump())
        settle(tx, provider, changed)
        if changed:
            note(tx, actor, clock.now(), "identity_provider.change", _target(provider), changed)


def delete_identity_provider(transactions: Transactions, clock: Clock, actor: Actor, provider_id: str) -> None:
    """Deletes an identity provider: nobody signs in through it any more. Raises ThingUnknown."""
    with transactions.write() as tx:
        provider = reach(tx, IDENTITY_PROVIDERS, actor, provider_id, KIND)
        masters_only(actor, Words("delete identity providers"))
        provider.version += 1
        publish(tx, provider, withdrawn=True)
        note(tx, actor, clock.now(), "identity_provider.delete", _target(provider))
        tx.remove(provider)


def settle(tx: Transaction, provider: IdentityProvider, changed: dict[str, object]) -> None:
    """Tells auth a change, if there is one."""
    if not changed:
        return
    provider.version += 1
    if any(name in changed for name in DESCRIBED):
        provider.state, provider.state_detail, provider.state_words, provider.entity_id = None, "", None, ""
        provider.valid_until = provider.checked_at = None
    publish(tx, provider)


def publish(tx: Transaction, provider: IdentityProvider, *, withdrawn: bool = False) -> None:
    """Tells auth the identity provider as it is now."""
    fact = IdentityProviderPublished(
        identity_provider_id=provider.id,
        version=provider.version,
        name=provider.name,
        kind=provider.kind,
        metadata_url=provider.metadata_url,
        metadata_xml=provider.metadata_xml,
        metadata_certificate=provider.metadata_certificate,
        issuer=provider.issuer,
        client_id=provider.client_id,
        client_secret_name=provider.client_secret_name,
        attributes=provider.attributes,
        organization_ids=provider.organization_ids,
        for_persons=provider.for_persons,
        for_administrators=provider.for_administrators,
        idp_initiated=provider.idp_initiated,
        withdrawn=withdrawn or not provider.active,
    )
    tx.record(fact, destination="auth")


def take_judgement(tx: Transaction, fact: IdentityProviderChecked) -> None:
    """Keeps what auth says of a provider, unless it is about how that was before, or older than what is known."""
    provider = tx.get(IdentityProvider, fact.identity_provider_id)
    if provider is None or fact.version < provider.version:
        return
    if provider.checked_at is not None and fact.checked_at < provider.checked_at:
        return
    put(
        provider,
        {
            "state": fact.state,
            "state_detail": fact.detail,
            "state_words": fact.detail_words,
            "entity_id": fact.entity_id,
            "valid_until": fact.valid_until,
            "checked_at": fact.checked_at,
        },
    )


def too_many(organization_ids: Collection[str], before: Collection[str]) -> bool:
    """Whether these are more organizations than a provider may speak for that spoke for those `before`."""
    return len(organization_ids) > MOST_SPOKEN_FOR and not set(before).issuperset(organization_ids)


def _check_organizations(tx: Transaction, organization_ids: Collection[str], before: Collection[str]) -> None:
    if any(tx.get(Organization, each) is None for each in organization_ids if each not in before):
        raise InputRefused({"organization_ids": Words("There is no such organization.")})
    if too_many(organization_ids, before):
        raise InputRefused({"organization_ids": TOO_MANY})


def _target(provider: IdentityProvider) -> Target:
    return Target(provider.id, provider.name)
