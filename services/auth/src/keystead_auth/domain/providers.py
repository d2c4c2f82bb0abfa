"""Identity providers as auth knows them, and a sign-in through one from its beginning to the person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from keystead_auth.domain.attributes import Person
from keystead_auth.domain.errors import MethodNotOffered
from keystead_auth.domain.idp_errors import ProviderNotReady, ProviderUnknown
from keystead_auth.domain.sign_in import Form
from keystead_contracts.identity import SignInMethod
from keystead_contracts.people import IdentityProviderKind

ATTEMPT_LIFETIME = timedelta(minutes=15)
"""How long somebody has for signing in at the provider."""
ARRIVAL_LIFETIME = timedelta(minutes=5)
"""How long a verified answer waits for the browser that brought it."""


class Purpose(StrEnum):
    """What somebody signs in for."""

    FORM = "form"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True)
class IdentityProvider:
    """An identity provider as enroll last published it, and what was last read of it.

    `material` is its metadata as JSON (`SamlEntity`, `OidcEntity`), None before it was read; it is good until
    `usable_until`, None for no end.
    """

    id: str
    version: int
    name: str
    kind: IdentityProviderKind
    metadata_url: str | None = None
    metadata_xml: str | None = None
    metadata_certificate: str | None = None
    issuer: str | None = None
    client_id: str | None = None
    client_secret_name: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    organization_ids: tuple[str, ...] = ()
    for_persons: bool = True
    for_administrators: bool = False
    idp_initiated: bool = False
    withdrawn: bool = False
    material: dict[str, Any] | None = None
    usable_until: datetime | None = None

    @property
    def source(self) -> tuple[object, ...]:
        """Where its metadata comes from: what was read of one source says nothing of another."""
        return (
            self.kind, self.metadata_url, self.metadata_xml, self.metadata_certificate, self.issuer, self.client_id
        )  # fmt: skip

    def ready(self, now: datetime) -> bool:
        """Whether its metadata is known and not over."""
        return self.material is not None and (self.usable_until is None or now < self.usable_until)

    def speaks_for(self, form: Form) -> bool:
        """Whether the form's people sign in through it: a provider or a form without organizations has all."""
        if self.withdrawn or not self.for_persons or form.withdrawn or SignInMethod.IDP not in form.methods:
            return False
        return not (self.organization_ids and form.organization_ids) or not set(self.organization_ids).isdisjoint(
            form.organization_ids
        )


def offered(providers: Iterable[IdentityProvider], form: Form, now: datetime) -> list[IdentityProvider]:
    """Those through which the form's people can sign in now, by name."""
    found = (each for each in providers if each.speaks_for(form) and each.ready(now))
    return sorted(found, key=lambda each: (each.name.lower(), each.id))


def usable(
    provider: IdentityProvider | None, kind: IdentityProviderKind, purpose: Purpose, form: Form | None, now: datetime
) -> IdentityProvider:
    """`provider`, if somebody can sign in through it for this. Raises MethodNotOffered, ProviderUnknown or
    ProviderNotReady."""
    if provider is None or provider.withdrawn or provider.kind is not kind:
        raise ProviderUnknown
    if purpose is Purpose.ADMINISTRATOR:
        if not provider.for_administrators:
            raise ProviderUnknown
    else:
        if form is None or SignInMethod.IDP not in form.methods:
            raise MethodNotOffered
        if not provider.speaks_for(form):
            raise ProviderUnknown
    if not provider.ready(now):
        raise ProviderNotReady
    return provider


@dataclass(frozen=True)
class Attempt:
    """Somebody was sent to a provider. `id` is the request's (SAML) or the digest of its state (OpenID Connect);
    `relay` the digest of what comes back beside the answer; `browser` that of the browser's visit value."""

    id: str
    provider: str
    purpose: Purpose
    form: str | None
    relay: str
    browser: str
    created_at: datetime
    expires_at: datetime
    trace_id: str
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    """OpenID Connect's nonce and code verifier."""
    answered_at: datetime | None = None


@dataclass(frozen=True)
class Arrival:
    """Somebody whom a provider has vouched for, and whose browser is yet to be seen: an answer comes from the
    provider's page, where browsers send no cookies along. `browser` is None where nobody asked."""

    digest: str
    provider: str
    purpose: Purpose
    form: str | None
    browser: str | None
    person: Person
    session_ends: datetime | None
    expires_at: datetime
    trace_id: str
