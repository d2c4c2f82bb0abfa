"""Say who a person is, to enroll, in a signed token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from keystead_auth.domain.attributes import MOST_OCTETS, as_json, fitting
from keystead_auth.domain.providers import IdentityProvider
from keystead_auth.ports import IdentitySigner, Randomness
from keystead_contracts.identity import IdentityClaims, SignInMethod

IDENTITY_LIFETIME = timedelta(minutes=2)
MOST_CLAIMS = 2800
"""Octets of JSON. Base64 makes four of three, a header, a signature and the cookie's name come to it, and browsers keep
4096 of a cookie; without it nobody gets further than the sign-in."""
MOST_OF_NAME = 512
"""Octets of JSON."""


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
    said = attributes or {}
    claims = IdentityClaims(
        sub=email,
        jti=randomness.new_id(),
        iat=int(now.timestamp()),
        exp=int((now + IDENTITY_LIFETIME).timestamp()),
        form=form,
        method=method,
        name=_cut(name),
        identity_provider=provider.id if provider else None,
        identity_provider_organizations=list(provider.organization_ids) if provider else [],
        persons=list(persons),
    )
    plain = claims.model_dump(mode="json")
    left = MOST_CLAIMS - as_json(plain) - as_json(list(said))
    plain["attributes"], plain["attributes_cut"] = fitting(said, min(MOST_OCTETS, left))
    return signer.sign(plain)


def _cut(name: str | None) -> str | None:
    while name and as_json(name) > MOST_OF_NAME:
        name = name[:-1]
    return name
