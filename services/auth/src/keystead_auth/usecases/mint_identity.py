"""Say who a person is, to enroll, in a signed token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from keystead_auth.domain.attributes import fitting
from keystead_auth.domain.providers import IdentityProvider
from keystead_auth.ports import IdentitySigner, Randomness
from keystead_contracts.identity import IdentityClaims, SignInMethod

IDENTITY_LIFETIME = timedelta(minutes=2)


def mint_identity(
    signer: IdentitySigner,
    randomness: Randomness,
    *,
    email: str,
    form: str,
    method: SignInMethod,
    now: datetime,
    name: str | None = None,
    attributes: Mapping[str, list[str]] | None = None,
    provider: IdentityProvider | None = None,
    persons: Sequence[str] = (),
) -> str:
    """An identity token (`IdentityClaims`) for one form, good once and for `IDENTITY_LIFETIME`. `provider` is the one
    that vouched for the person, with their `attributes`, of which as much goes along as fits; `persons` those whose
    Secret ID was given."""
    kept, cut = fitting(attributes or {})
    claims = IdentityClaims(
        sub=email,
        jti=randomness.new_id(),
        iat=int(now.timestamp()),
        exp=int((now + IDENTITY_LIFETIME).timestamp()),
        form=form,
        method=method,
        name=name,
        attributes=kept,
        attributes_cut=cut,
        identity_provider=provider.id if provider else None,
        identity_provider_organizations=list(provider.organization_ids) if provider else [],
        persons=list(persons),
    )
    return signer.sign(claims.model_dump(mode="json"))
