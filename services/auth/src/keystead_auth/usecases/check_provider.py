"""Read an identity provider's metadata, and tell enroll what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from keystead_auth.domain.oidc import LOOK_AGAIN, discovery_address, read_discovery, read_keys
from keystead_auth.domain.providers import IdentityProvider
from keystead_auth.domain.saml.metadata import base64_of_pem, read_metadata
from keystead_auth.ports import ClientSecrets, Fetcher, Randomness, SignatureVerifier, Transactions
from keystead_contracts.people import IdentityProviderChecked, IdentityProviderKind, IdentityProviderState
from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Sentences, Words, to_plain
from keystead_kit.clock import Clock

ENROLL = "enroll"
CLAIMED = timedelta(minutes=5)
AGAIN_AFTER_FAILURE = timedelta(minutes=15)

USED_ON = Words("What was read before is used on.")


@dataclass(frozen=True)
class Reading:
    """What a provider's own documents say: see `IdentityProvider`. `ends`: the earliest end of anything in them."""

    material: dict[str, Any]
    entity_id: str
    usable_until: datetime | None
    ends: datetime | None
    look_again: timedelta
    detail: str = ""


@dataclass(frozen=True)
class Sources:
    """Where what is read comes from."""

    fetcher: Fetcher
    secrets: ClientSecrets
    verifier: SignatureVerifier | None = None
    """None where SAML is not offered."""


def check_provider(
    transactions: Transactions,
    sources: Sources,
    randomness: Randomness,
    clock: Clock,
    *,
    secure: bool,
    unsupported: Mapping[IdentityProviderKind, str],
    trace_id: str,
) -> IdentityProviderChecked | None:
    """Reads the metadata of one provider that is due, and answers what it made of it; None if none is due.

    What was read before stays good until it ends, whatever the provider answers now. `unsupported`: kind → why this
    server cannot offer it. `secure`: browsers are sent to https addresses only.
    """
    now = clock.now()
    with transactions.write() as tx:
        provider = tx.providers.claim(now, now + CLAIMED)
    if provider is None:
        return None
    try:
        if provider.kind in unsupported:
            raise Refusal(unsupported[provider.kind])
        reading = _read(provider, sources, now, secure)
    except Refusal as refusal:
        checked = provider if provider.kind not in unsupported else replace(provider, material=None)
        told = _failed(checked, refusal.detail, now)
        next_check_at = now + AGAIN_AFTER_FAILURE
    else:
        checked = replace(provider, material=reading.material, usable_until=reading.usable_until)
        told = _told(
            provider, now, IdentityProviderState.READY, reading.detail, entity_id=reading.entity_id, ends=reading.ends
        )
        next_check_at = min(now + reading.look_again, reading.usable_until or now + reading.look_again)
    with transactions.write() as tx:
        if tx.providers.read(checked, told, next_check_at):
            tx.facts.record(told, destination=ENROLL, message_id=randomness.new_id(), trace_id=trace_id, now=now)
    return told


def _read(provider: IdentityProvider, sources: Sources, now: datetime, secure: bool) -> Reading:
    if provider.kind is IdentityProviderKind.OIDC:
        return _read_oidc(provider, sources, secure)
    return _read_saml(provider, sources, now, secure)


def _read_oidc(provider: IdentityProvider, sources: Sources, secure: bool) -> Reading:
    if not provider.issuer or not provider.client_id:
        raise Refusal(Words("It has no issuer, or no client id."))
    if provider.client_secret_name:
        sources.secrets.get(provider.client_secret_name)
    entity = read_discovery(sources.fetcher.get(discovery_address(provider.issuer)), provider.issuer, secure=secure)
    entity = replace(entity, keys=read_keys(sources.fetcher.get(entity.jwks_uri)))
    return Reading(entity.material(), entity.issuer, usable_until=None, ends=None, look_again=LOOK_AGAIN)


def _read_saml(provider: IdentityProvider, sources: Sources, now: datetime, secure: bool) -> Reading:
    if provider.metadata_xml is not None:
        document = provider.metadata_xml.encode()
    elif provider.metadata_url is not None:
        document = sources.fetcher.get(provider.metadata_url)
    else:
        raise Refusal(Words("It has neither a metadata address nor metadata."))
    found = read_metadata(document, now, secure=secure, signed_by=_signed_by(provider, sources.verifier, document))
    ends = min(each for each in (found.usable_until, found.certificate_ends) if each is not None)
    return Reading(
        material=found.entity.material(),
        entity_id=found.entity.entity_id,
        usable_until=found.usable_until,
        ends=ends,
        look_again=found.look_again,
        detail=Words("A signing certificate in its metadata has expired.") if found.certificate_ends <= now else "",
    )


def _signed_by(
    provider: IdentityProvider, verifier: SignatureVerifier | None, document: bytes
) -> Callable[[str, str], bool] | None:
    """What tells whether the certificate that is set for the provider's metadata signed it; None if none is set."""
    if provider.metadata_certificate is None:
        return None
    certificate = base64_of_pem(provider.metadata_certificate)
    return lambda element, id: verifier is not None and verifier.verify(document, element, id, certificate)


def _failed(provider: IdentityProvider, detail: str, now: datetime) -> IdentityProviderChecked:
    if not provider.ready(now):
        return _told(provider, now, IdentityProviderState.FAILED, detail)
    return _told(
        provider, now, IdentityProviderState.READY, Sentences(USED_ON, detail),
        entity_id=str((provider.material or {}).get("entity_id", "")), ends=provider.usable_until,
    )  # fmt: skip


def _told(
    provider: IdentityProvider,
    now: datetime,
    state: IdentityProviderState,
    detail: str,
    *,
    entity_id: str = "",
    ends: datetime | None = None,
) -> IdentityProviderChecked:
    return IdentityProviderChecked(
        identity_provider_id=provider.id,
        version=provider.version,
        state=state,
        checked_at=now,
        entity_id=entity_id,
        detail=detail,
        detail_words=words if isinstance(words := to_plain(detail), dict) else None,
        valid_until=ends,
    )
